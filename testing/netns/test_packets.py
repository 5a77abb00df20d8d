"""Real packets between real instances, and the same answer from `groundplane why`."""

import time

from conftest import permission

HTTP_SERVER = "#!/bin/sh\nmkdir -p /srv/w && cd /srv/w && echo {text} > index.html && exec python3 -m http.server {port}\n"


def curl(account, instance, url, seconds=2):
    """What the instance is answered, or None after `seconds`."""
    result = account.groundplane.exec(instance, "curl", "-sS", "-m", str(seconds), url, check=False)
    return result.stdout.strip() if result.returncode == 0 else None


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def ping(account, instance, address, seconds=1):
    result = account.groundplane.exec(instance, "ping", "-c1", "-W", str(seconds), address, check=False)
    return result.returncode == 0


def test_the_address_that_the_api_shows_is_the_address_on_eth0(account):
    vpc, subnet = account.network()
    instance = account.run(subnet, [account.group(vpc)])
    shown = account.instance(instance)["PrivateIpAddress"]
    guest = account.groundplane.exec(instance, "ip", "-4", "-o", "addr", "show", "eth0").stdout
    assert f" {shown}/24 " in guest
    mac = account.instance(instance)["NetworkInterfaces"][0]["MacAddress"]
    assert mac in account.groundplane.exec(instance, "cat", "/sys/class/net/eth0/address").stdout


def test_a_rule_lets_in_what_it_names_and_nothing_else(account):
    vpc, subnet = account.network()
    clients = account.group(vpc, "clients")
    servers = account.group(vpc, "servers", permission("tcp", 80, group=clients))
    web = account.run(subnet, [servers], "10.0.1.10", user_data=HTTP_SERVER.format(text="hello", port=80))
    client = account.run(subnet, [clients], "10.0.1.20")
    assert wait_for(lambda: curl(account, client, "http://10.0.1.10") == "hello")
    assert curl(account, client, "http://10.0.1.10:8080", 1) is None
    assert not ping(account, client, "10.0.1.10")

    assert account.groundplane.why(client, web, "tcp/80")[0]
    reachable, path = account.groundplane.why(client, web, "tcp/8080")
    assert not reachable
    assert servers in str(path)


def test_packets_obey_a_changed_rule_when_the_call_returns(account):
    vpc, subnet = account.network()
    group = account.group(vpc, "web")
    account.run(subnet, [group], "10.0.1.10", user_data=HTTP_SERVER.format(text="x", port=80))
    client = account.run(subnet, [account.group(vpc, "client")], "10.0.1.20")
    rule = permission("tcp", 80, cidr="10.0.1.20/32")
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    assert wait_for(lambda: curl(account, client, "http://10.0.1.10"))
    for _ in range(10):
        account.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
        assert curl(account, client, "http://10.0.1.10", 0.3) is None
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        assert curl(account, client, "http://10.0.1.10", 1) == "x"


def test_ping_is_stateful_and_needs_a_rule_in_one_direction_only(account):
    vpc, subnet = account.network()
    open_to_ping = account.group(vpc, "pinged", permission("icmp", -1, cidr="10.0.0.0/16"))
    closed = account.group(vpc, "closed")
    account.run(subnet, [open_to_ping], "10.0.1.10", name="a")
    b = account.run(subnet, [closed], "10.0.1.20")
    a = account.ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["a"]}])["Reservations"]
    a = a[0]["Instances"][0]["InstanceId"]
    assert ping(account, b, "10.0.1.10")
    assert not ping(account, a, "10.0.1.20")


def test_subnets_of_one_vpc_are_routed_and_no_hop_is_seen(account):
    vpc, first = account.network()
    second = account.subnet(vpc, "10.0.2.0/24", "b")
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    account.run(first, [group], "10.0.1.10")
    b = account.run(second, [group], "10.0.2.20")
    assert ping(account, b, "10.0.1.10")
    answer = account.groundplane.exec(b, "ping", "-c1", "-W1", "-t", "1", "10.0.1.10", check=False)
    assert answer.returncode == 0, "the VPC's router is not a hop"


def test_large_packets_pass_whole(account):
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    account.run(subnet, [group], "10.0.1.10")
    b = account.run(subnet, [group], "10.0.1.20")
    for size in ("1473", "8973"):
        result = account.groundplane.exec(b, "ping", "-c1", "-W1", "-M", "do", "-s", size, "10.0.1.10", check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_a_forged_source_address_is_dropped_and_named(account):
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    account.run(subnet, [group], "10.0.1.10")
    b = account.run(subnet, [group], "10.0.1.20")
    before = account.groundplane.status()["host"]["drops"].get("source-check", 0)
    account.groundplane.exec(b, "ip", "addr", "add", "10.0.1.99/32", "dev", "eth0")
    result = account.groundplane.exec(b, "ping", "-c1", "-W1", "-I", "10.0.1.99", "10.0.1.10", check=False)
    assert result.returncode != 0
    assert account.groundplane.status()["host"]["drops"]["source-check"] > before


def test_ipv6_follows_the_same_rules(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    described = account.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    block = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    subnet_block = block.replace("/56", "/64")
    subnet = account.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", Ipv6CidrBlock=subnet_block)
    subnet = subnet["Subnet"]["SubnetId"]
    closed = account.group(vpc, "closed")
    pinged = account.group(vpc, "pinged", permission("icmpv6", -1, cidr6=block))
    a = account.run(subnet, [pinged], Ipv6AddressCount=1)
    b = account.run(subnet, [closed], Ipv6AddressCount=1)
    address = {i: account.instance(i)["NetworkInterfaces"][0]["Ipv6Addresses"][0]["Ipv6Address"] for i in (a, b)}
    assert ping(account, b, address[a])
    assert not ping(account, a, address[b])


def test_user_data_runs_once_and_the_console_shows_it(account):
    vpc, subnet = account.network()
    instance = account.run(subnet, [account.group(vpc)], user_data="#!/bin/sh\necho once >> /root/ran; echo said-it\n")
    assert wait_for(lambda: "said-it" in account.groundplane.command("logs", instance).stdout)
    account.ec2.stop_instances(InstanceIds=[instance])
    account.wait(instance, "stopped")
    account.ec2.start_instances(InstanceIds=[instance])
    account.wait(instance, "running")
    assert account.groundplane.exec(instance, "cat", "/root/ran").stdout == "once\n"


def test_a_second_interface_appears_and_goes_while_the_instance_runs(account):
    vpc, subnet = account.network()
    instance = account.run(subnet, [account.group(vpc)], "10.0.1.10")
    eni = account.ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress="10.0.1.77")["NetworkInterface"]
    eni = eni["NetworkInterfaceId"]
    attached = account.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)
    assert "10.0.1.77/24" in account.groundplane.exec(instance, "ip", "-4", "addr", "show", "eth1").stdout
    account.ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
    assert account.groundplane.exec(instance, "ip", "link", "show", "eth1", check=False).returncode != 0


def test_twenty_vpcs_with_one_block_and_nothing_crosses(account):
    """Forty instances at once; every pair inside a VPC talks as its groups say, no packet leaves its VPC."""
    # AWS allows an account five VPCs, and the default VPC is one of them.
    owners = [account.groundplane.account() for _ in range(5)]
    running = []
    for owner, number in ((owner, n) for owner in owners for n in range(4)):
        vpc, subnet = owner.network()
        greeting = f"{owner.number}-{number}"
        from_vpc = [permission("icmp", -1, cidr="10.0.1.20/32"), permission("tcp", 80, cidr="10.0.0.0/16")]
        server = owner.run(
            subnet,
            [owner.group(vpc, "server", *from_vpc)],
            "10.0.1.10",
            user_data=HTTP_SERVER.format(text=greeting, port=80),
            wait=False,
        )
        client = owner.run(subnet, [owner.group(vpc, "client")], "10.0.1.20", wait=False)
        running.append((owner, server, client, greeting))
    for owner, server, client, greeting in running:
        owner.wait([server, client], "running")
        assert wait_for(lambda: curl(owner, client, "http://10.0.1.10") == greeting), greeting
        assert ping(owner, client, "10.0.1.10")
        assert not ping(owner, server, "10.0.1.20")
    for owner in owners:
        owner.reset()
