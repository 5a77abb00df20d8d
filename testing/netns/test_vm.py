"""A real virtual machine as an instance: boots, gets its addresses, is pinged, gets a second ENI and loses it again,
has a branch ENI on a VLAN device, and reboots.

One machine for all of it where possible: a boot in software takes seconds, on a busy host a minute.
"""

import shutil
import time
from pathlib import Path

import pytest
from conftest import permission, refused

PATIENCE = 150
VM = [{"ResourceType": "instance", "Tags": [{"Key": "groundplane:guest", "Value": "vm"}]}]

needs_qemu = pytest.mark.skipif(
    not shutil.which("qemu-system-x86_64") or not Path("/usr/local/lib/groundplane/vm/boot").is_dir(),
    reason="qemu-system-x86 or the guest's kernel is not here: tools/setup.sh installs both on x86_64",
)


def eventually(what, attempt, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while True:
        result = attempt()
        if result:
            return result
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


def pings(groundplane, source, address):
    return groundplane.exec(source, "ping", "-c1", "-W1", address, check=False).returncode == 0


def dual_stack(account):
    """(VPC, two subnets)"""
    ec2 = account.ec2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    described = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    block = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].replace("::/56", "")
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", Ipv6CidrBlock=f"{block[:-2]}{n:02x}::/64", AvailabilityZone="eu-central-1a"
        )["Subnet"]["SubnetId"]
        for n in (1, 2)
    ]
    return vpc, *subnets


def ipv6_of(account, instance, index=0):
    enis = account.instance(instance)["NetworkInterfaces"]
    eni = next(eni for eni in enis if eni["Attachment"]["DeviceIndex"] == index)
    return eni["Ipv6Addresses"][0]["Ipv6Address"]


def check_addresses(account, sandbox, machine):
    """Addresses and a prefix that come and go while the machine runs."""
    ec2, groundplane = account.ec2, account.groundplane
    eventually("a ping of the IPv6 address", lambda: pings(groundplane, sandbox, ipv6_of(account, machine)))
    primary = account.instance(machine)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=primary, PrivateIpAddresses=["10.0.1.21"])
    eventually("a ping of the secondary address", lambda: pings(groundplane, sandbox, "10.0.1.21"))
    ec2.assign_private_ip_addresses(NetworkInterfaceId=primary, Ipv4Prefixes=["10.0.1.64/28"])
    # Something inside takes an address of the prefix, as a pod does.
    groundplane.exec(machine, "ip", "addr", "add", "10.0.1.65/32", "dev", "lo", timeout=PATIENCE)
    assert pings(groundplane, sandbox, "10.0.1.65")
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=primary, PrivateIpAddresses=["10.0.1.21"])
    assert not pings(groundplane, sandbox, "10.0.1.21"), "unassigned when the call returns"
    show = lambda: groundplane.exec(machine, "ip", "addr", "show", "eth0", timeout=PATIENCE).stdout
    eventually("the address goes", lambda: "10.0.1.21" not in show())
    assert "10.0.1.20/24" in show()


def check_second_interface(account, sandbox, machine, eni):
    """Plugged with an IPv6 address and a prefix, given one more address, and taken again."""
    ec2, groundplane = account.ec2, account.groundplane
    attachment = ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=machine, DeviceIndex=1)["AttachmentId"]
    eventually("a ping of the plugged interface", lambda: pings(groundplane, sandbox, "10.0.2.20"))
    assert "10.0.2.20/24" in groundplane.exec(machine, "ip", "addr", "show", "eth1", timeout=PATIENCE).stdout
    eventually("a ping of its IPv6 address", lambda: pings(groundplane, sandbox, ipv6_of(account, machine, 1)))
    groundplane.exec(machine, "ip", "addr", "add", "10.0.2.65/32", "dev", "lo", timeout=PATIENCE)
    eventually("a ping of its prefix", lambda: pings(groundplane, sandbox, "10.0.2.65"))
    ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.2.21"])
    eventually("a ping of its secondary address", lambda: pings(groundplane, sandbox, "10.0.2.21"))
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.2.21"])
    rules = lambda: groundplane.exec(machine, "ip", "rule", timeout=PATIENCE).stdout
    eventually("the address's rule goes", lambda: "10.0.2.21" not in rules())
    assert "from 10.0.2.64/28" in rules()
    ec2.detach_network_interface(AttachmentId=attachment)
    assert not pings(groundplane, sandbox, "10.0.2.20"), "detached when the call returns"
    shown = lambda: groundplane.exec(machine, "ip", "link", "show", "eth1", check=False, timeout=PATIENCE)
    eventually("the guest lets go of it", lambda: shown().returncode != 0)
    assert pings(groundplane, sandbox, "10.0.1.20")


def check_branch(account, sandbox, machine, subnet, group):
    """A VLAN device of the guest's own kernel on a trunk."""
    ec2, groundplane = account.ec2, account.groundplane
    made = lambda kind, address: ec2.create_network_interface(
        SubnetId=subnet, Groups=[group], PrivateIpAddress=address, InterfaceType=kind
    )["NetworkInterface"]
    trunk, branch = (made(*what) for what in (("trunk", "10.0.3.10"), ("branch", "10.0.3.40")))
    trunk, branch, mac = trunk["NetworkInterfaceId"], branch["NetworkInterfaceId"], branch["MacAddress"]
    attached = ec2.attach_network_interface(NetworkInterfaceId=trunk, InstanceId=machine, DeviceIndex=2)
    eventually("a ping of the trunk", lambda: pings(groundplane, sandbox, "10.0.3.10"))
    association = ec2.associate_trunk_interface(BranchInterfaceId=branch, TrunkInterfaceId=trunk, VlanId=7)
    script = f"""modprobe 8021q && ip link add link eth2 name b7 type vlan id 7 && ip link set b7 address {mac} up &&
ip addr add 10.0.3.40/32 dev b7 && ip route add 10.0.3.1 dev b7 table 150 &&
ip route add default via 10.0.3.1 dev b7 table 150 && ip rule add from 10.0.3.40 lookup 150"""
    groundplane.exec(machine, "sh", "-c", script, timeout=PATIENCE)
    eventually("a ping of the branch", lambda: pings(groundplane, sandbox, "10.0.3.40"))
    assert groundplane.why(sandbox, branch, "icmp")[0]
    ec2.disassociate_trunk_interface(AssociationId=association["InterfaceAssociation"]["AssociationId"])
    assert not pings(groundplane, sandbox, "10.0.3.40"), "disassociated when the call returns"
    ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])


@needs_qemu
def test_a_machine_boots_is_pinged_gets_an_interface_and_loses_it(account, groundplane):
    ec2 = account.ec2
    vpc, subnet, other = dual_stack(account)
    group = account.group(vpc, "open", permission("-1", cidr="10.0.0.0/16", cidr6="::/0"))
    sandbox = account.run(subnet, [group], "10.0.1.10", InstanceType="t3.nano", Ipv6AddressCount=1)
    eni = ec2.create_network_interface(
        SubnetId=other, Groups=[group], PrivateIpAddress="10.0.2.20", Ipv4Prefixes=[{"Ipv4Prefix": "10.0.2.64/28"}],
        Ipv6AddressCount=1,
    )["NetworkInterface"]["NetworkInterfaceId"]
    script = "#!/bin/sh\necho user-data says $((6 * 7)); nc -ll -p 80 -e cat &\n"
    machine = account.run(subnet, [group], "10.0.1.20", user_data=script, TagSpecifications=VM,
                          InstanceType="m5.large", Ipv6AddressCount=1)

    # How it is run is said where a user looks.
    shown = account.instance(machine)
    assert shown["State"]["Name"] == "running"
    if "StateReason" in shown:
        assert shown["StateReason"]["Code"] == "Server.SoftwareEmulation", shown["StateReason"]
        assert "slow" in shown["StateReason"]["Message"]

    eventually("a ping", lambda: pings(groundplane, sandbox, "10.0.1.20"))
    reachable, _ = groundplane.why(sandbox, machine, "icmp")
    assert reachable
    # Large packets and whole streams, whose checksums and segments are left to the other side.
    large = groundplane.exec(sandbox, "ping", "-c1", "-W5", "-M", "do", "-s", "8900", "10.0.1.20", check=False)
    assert large.returncode == 0, large.stdout

    inside = groundplane.exec(machine, "sh", "-c", "ip -4 addr show eth0; hostname; uname -r", timeout=PATIENCE).stdout
    assert "10.0.1.20/24" in inside and "ip-10-0-1-20" in inside and "cloud" in inside, inside
    eventually("user-data", lambda: "user-data says 42" in groundplane.command("logs", machine).stdout)
    stream = "head -c 3000000 /dev/zero | nc -w 10 -N 10.0.1.20 80 | wc -c"
    assert groundplane.exec(sandbox, "sh", "-c", stream, timeout=PATIENCE).stdout.strip() == "3000000"
    assert groundplane.exec(machine, "sh", "-c", "exit 9", check=False, timeout=PATIENCE).returncode == 9

    check_addresses(account, sandbox, machine)
    check_second_interface(account, sandbox, machine, eni)
    check_branch(account, sandbox, machine, account.subnet(vpc, "10.0.3.0/24"), group)

    groundplane.exec(machine, "sh", "-c", "echo kept >/root/file; sync", timeout=PATIENCE)
    ec2.stop_instances(InstanceIds=[machine])
    account.wait(machine, "stopped", PATIENCE)
    assert "the power button was pressed" in groundplane.command("logs", machine).stdout
    ec2.start_instances(InstanceIds=[machine])
    account.wait(machine, "running", PATIENCE)
    assert groundplane.exec(machine, "cat", "/root/file", timeout=PATIENCE).stdout == "kept\n"
    eventually("a ping of the IPv6 address", lambda: pings(groundplane, sandbox, ipv6_of(account, machine)))

    boot_id = lambda: groundplane.exec(machine, "cat", "/proc/sys/kernel/random/boot_id", check=False, timeout=PATIENCE)
    before = boot_id().stdout
    assert before
    ec2.reboot_instances(InstanceIds=[machine])
    assert account.instance(machine)["State"]["Name"] == "running"
    eventually("another boot", lambda: (now := boot_id()).returncode == 0 and now.stdout != before)
    eventually("a ping after the reboot", lambda: pings(groundplane, sandbox, "10.0.1.20"))
    eventually("a ping of the IPv6 address", lambda: pings(groundplane, sandbox, ipv6_of(account, machine)))
    assert groundplane.exec(machine, "cat", "/root/file", timeout=PATIENCE).stdout == "kept\n"
    assert groundplane.command("logs", machine).stdout.count("user-data says 42") == 1, "user-data runs once"
    ec2.terminate_instances(InstanceIds=[machine])
    account.wait(machine, "terminated", PATIENCE)


@needs_qemu
def test_a_machine_outlives_its_groundplane_and_its_end_is_noticed(own_groundplane):
    account = own_groundplane.account()
    vpc, subnet = account.network()
    group = account.group(vpc, "open", permission("-1", cidr="10.0.0.0/16"))
    sandbox = account.run(subnet, [group], "10.0.1.10", InstanceType="t3.nano")
    machine = account.run(subnet, [group], "10.0.1.20", TagSpecifications=VM)
    eventually("a ping", lambda: pings(own_groundplane, sandbox, "10.0.1.20"))
    own_groundplane.kill()
    own_groundplane.up()
    assert pings(own_groundplane, sandbox, "10.0.1.20"), "it went on"
    assert account.instance(machine)["State"]["Name"] == "running"
    own_groundplane.exec(machine, "poweroff", check=False, timeout=PATIENCE)
    account.wait(machine, "stopped", PATIENCE)
    assert account.instance(machine)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    account.ec2.start_instances(InstanceIds=[machine])
    account.wait(machine, "running", PATIENCE)
    log = (own_groundplane.directory / "up.log").read_text()
    assert log.count(f"running instance={machine}") == 2, "not booted once more when it had ended"
    account.ec2.terminate_instances(InstanceIds=[machine])
    account.wait(machine, "terminated", PATIENCE)


def test_a_kind_of_guest_that_is_not_there_is_refused(account):
    vpc, subnet = account.network()
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "groundplane:guest", "Value": "container"}]}]
    code, message = refused(
        account.ec2.run_instances, ImageId=account.image(), SubnetId=subnet, MinCount=1, MaxCount=1,
        InstanceType="t3.micro", TagSpecifications=tags,
    )
    assert code == "InvalidParameterValue" and "'container'" in message


def test_without_qemu_a_machine_fails_and_says_what_to_install(tmp_path, monkeypatch):
    from conftest import Groundplane, free_port

    monkeypatch.setenv("GROUNDPLANE_VM_QEMU", "/nowhere/qemu-system-x86_64")
    running = Groundplane(tmp_path, free_port(), "--guest", "vm").up()
    try:
        account = running.account()
        vpc, subnet = account.network()
        instance = account.run(subnet, [account.group(vpc)], wait=False)
        account.wait(instance, "terminated")
        reason = account.instance(instance)["StateReason"]
        assert reason["Code"] == "Server.InternalError"
        assert "qemu-system-x86" in reason["Message"] and "install" in reason["Message"], reason
    finally:
        running.down()
