"""Calls that come faster than instances boot, and kills in the middle of it: every instance reaches the state that the
API says, and nothing stays behind on the host."""

import random
import subprocess
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from conftest import Groundplane, free_port, permission
from test_packets import ping, wait_for
from test_survival import _host, _mine


@pytest.fixture
def place(own_groundplane):
    """(Groundplane, account, subnet, a group that lets the VPC in)"""
    account = own_groundplane.account()
    vpc, subnet = account.network()
    return own_groundplane, account, subnet, account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))


def left_behind(groundplane):
    """What the host has of instances: links, processes, control groups and files."""
    pin = next(groundplane.run_dir.glob("**/netns"))
    links = subprocess.check_output(["nsenter", f"--net={pin}", "ip", "-br", "link"], text=True).split("\n")
    guests = []
    for cgroup in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if f"/{groundplane.name}/i-" in cgroup.read_text():
                guests.append(cgroup.parent.name)
        except OSError:
            pass
    return {
        "links": [line.split()[0] for line in links if line and line.split()[0] not in ("lo", "upcall")],
        "processes": guests,
        "cgroups": [str(p) for p in Path("/sys/fs/cgroup").glob(f"**/groundplane/{groundplane.name}/i-*")],
        "records": [str(p) for p in groundplane.run_dir.glob("**/instances/*")],
        "disks": [str(p) for p in (groundplane.directory / "data").glob("**/instances/*")],
    }


def assert_nothing_left(groundplane):
    assert wait_for(lambda: not any(left_behind(groundplane).values()), 10), (left_behind(groundplane), groundplane.log())


def settled(account, instances, seconds=30):
    """The states of the instances, once none is on its way."""
    deadline = time.monotonic() + seconds
    while True:
        states = {i: account.instance(i)["State"]["Name"] for i in instances}
        if not set(states.values()) & {"pending", "stopping", "shutting-down"}:
            return states
        assert time.monotonic() < deadline, (states, account.groundplane.log())
        time.sleep(0.1)


def call(operation, **arguments):
    """Whether the call was answered; storms run into refusals and into a server that is being killed."""
    try:
        operation(**arguments)
        return True
    except (BotoCoreError, ClientError):
        return False


def test_terminated_while_booting_leaves_nothing(place):
    groundplane, account, subnet, group = place
    ids = []
    for count in (1, 1, 3, 1):
        launched = account.run(subnet, [group], wait=False, MinCount=count)
        launched = [launched] if count == 1 else launched
        account.ec2.terminate_instances(InstanceIds=launched)
        ids += launched
    assert set(settled(account, ids).values()) == {"terminated"}
    assert_nothing_left(groundplane)


def test_storms_of_starts_stops_and_reboots_end_in_the_last_wish(place):
    groundplane, account, subnet, group = place
    a = account.run(subnet, [group], "10.0.1.10")
    b = account.run(subnet, [group], "10.0.1.20")
    ec2 = account.ec2
    for _ in range(12):
        call(ec2.reboot_instances, InstanceIds=[a])
        call(ec2.stop_instances, InstanceIds=[b])
        call(ec2.start_instances, InstanceIds=[b])
    settled(account, [a, b])
    call(ec2.start_instances, InstanceIds=[b])
    account.wait([a, b], "running")
    assert wait_for(lambda: ping(account, a, "10.0.1.20") and ping(account, b, "10.0.1.10"), 10), groundplane.log()
    ec2.stop_instances(InstanceIds=[a])
    ec2.terminate_instances(InstanceIds=[a, b])
    assert set(settled(account, [a, b]).values()) == {"terminated"}
    assert_nothing_left(groundplane)


def test_an_interface_that_comes_and_goes_a_hundred_times(place):
    groundplane, account, subnet, group = place
    hosts = [account.run(subnet, [group], address) for address in ("10.0.1.10", "10.0.1.20")]
    eni = account.ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress="10.0.1.77", Groups=[group])
    eni = eni["NetworkInterface"]["NetworkInterfaceId"]
    for turn in range(100):
        attached = account.ec2.attach_network_interface(
            NetworkInterfaceId=eni, InstanceId=hosts[turn % 2], DeviceIndex=1
        )
        account.ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
    account.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=hosts[1], DeviceIndex=1)
    assert "10.0.1.77/24" in groundplane.exec(hosts[1], "ip", "-4", "addr", "show", "eth1").stdout
    assert groundplane.exec(hosts[0], "ip", "link", "show", "eth1", check=False).returncode != 0
    assert groundplane.exec(hosts[1], "ping", "-c1", "-W1", "-I", "eth1", "10.0.1.10", check=False).returncode == 0
    assert len(left_behind(groundplane)["links"]) == 3


def test_killed_at_any_moment_of_a_boot_or_a_stop(place):
    """Instances are launched, stopped, started and terminated while the process is killed at random moments."""
    groundplane, account, subnet, group = place
    dice = random.Random(11)
    ids, stop = [], threading.Event()

    def storm():
        ec2 = account.client("ec2")
        while not stop.is_set():
            try:
                if len(ids) < 4:
                    ids.append(account.run(subnet, [group], wait=False))
                else:
                    wish = dice.choice([ec2.stop_instances, ec2.start_instances, ec2.reboot_instances])
                    call(wish, InstanceIds=[dice.choice(ids)])
            except (BotoCoreError, ClientError):
                pass
            time.sleep(0.03)

    worker = threading.Thread(target=storm)
    worker.start()
    try:
        for _ in range(8):
            time.sleep(dice.uniform(0.05, 0.6))
            groundplane.kill()
            groundplane.up()
    finally:
        stop.set()
        worker.join()
    known = [i["InstanceId"] for r in account.ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    for instance, state in settled(account, known).items():
        alive = groundplane.exec(instance, "true", check=False).returncode == 0
        assert alive == (state == "running"), (instance, state, groundplane.log())
    running = [i for i, state in settled(account, known).items() if state == "running"]
    assert len(left_behind(groundplane)["links"]) == len(running)
    account.ec2.terminate_instances(InstanceIds=known)
    groundplane.kill()
    groundplane.up()
    assert set(settled(account, known).values()) == {"terminated"}
    assert_nothing_left(groundplane)


def test_down_while_instances_boot(tmp_path):
    groundplane = Groundplane(tmp_path, free_port())
    before = _mine(_host(), groundplane)
    groundplane.up()
    account = groundplane.account()
    vpc, subnet = account.network()
    account.run(subnet, [account.group(vpc)], wait=False, MinCount=6)
    groundplane.down()
    assert _mine(_host(), groundplane) == before
    assert not groundplane.run_dir.exists()


def test_a_reset_takes_stopped_and_booting_instances_along(place):
    groundplane, account, subnet, group = place
    stopped = account.run(subnet, [group])
    account.ec2.stop_instances(InstanceIds=[stopped])
    account.wait(stopped, "stopped")
    account.run(subnet, [group])
    account.run(subnet, [group], wait=False, MinCount=3)
    account.reset()
    assert_nothing_left(groundplane)
