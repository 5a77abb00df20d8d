"""`kill -9`, restart and `down`: nothing answered is lost, live connections go on, nothing is left behind."""

import json
import re
import subprocess
import threading
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from conftest import permission
from test_packets import ping, wait_for


def test_no_answered_change_is_lost_by_kill_9(own_groundplane):
    """Writers create tags of growing value while the process is killed again and again."""
    account = own_groundplane.account()
    vpc, _ = account.network()
    answered, stop = {}, threading.Event()

    def write(worker):
        value = 0
        while not stop.is_set():
            value += 1
            try:
                account.ec2.create_tags(Resources=[vpc], Tags=[{"Key": f"w{worker}", "Value": str(value)}])
                answered[worker] = value
            except (BotoCoreError, ClientError):
                time.sleep(0.02)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(6):
            time.sleep(0.7)
            before = dict(answered)
            own_groundplane.kill()
            own_groundplane.up()
            tags = {t["Key"]: t["Value"] for t in account.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"]}
            for worker, value in before.items():
                assert int(tags[f"w{worker}"]) >= value
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert all(value > 10 for value in answered.values()), answered


def test_a_connection_runs_on_through_kill_and_restart(own_groundplane):
    account = own_groundplane.account()
    vpc, subnet = account.network()
    servers = account.group(vpc, "servers", permission("tcp", 5201, cidr="10.0.0.0/16"))
    server = account.run(subnet, [servers], "10.0.1.10", user_data="#!/bin/sh\nexec iperf3 -s\n")
    client = account.run(subnet, [account.group(vpc, "client")], "10.0.1.20")
    assert wait_for(lambda: ":5201" in own_groundplane.exec(server, "ss", "-ltn").stdout)
    # iperf3 measures for 12 s while the process is killed twice.
    iperf = own_groundplane.popen_exec(client, "iperf3", "-c", "10.0.1.10", "-t", "12", "-i", "1", "-J")
    for _ in range(2):
        time.sleep(2.5)
        own_groundplane.kill()
        time.sleep(1.5)
        own_groundplane.up()
    output, _ = iperf.communicate(timeout=60)
    assert iperf.returncode == 0, output
    seconds = [interval["sum"]["bytes"] for interval in json.loads(output)["intervals"]]
    assert len(seconds) >= 12 and min(seconds) > 0, seconds
    # And the API still stops packets.
    account.ec2.revoke_security_group_ingress(GroupId=servers, IpPermissions=[permission("tcp", 5201, cidr="10.0.0.0/16")])
    again = own_groundplane.exec(client, "timeout", "2", "iperf3", "-c", "10.0.1.10", "-t", "1", check=False)
    assert again.returncode != 0


def test_what_changed_while_it_was_down_is_made_true_at_the_restart(own_groundplane):
    account = own_groundplane.account()
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    a = account.run(subnet, [group], "10.0.1.10")
    b = account.run(subnet, [group], "10.0.1.20")
    assert ping(account, b, "10.0.1.10")
    pid = own_groundplane.exec(a, "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!").stdout.strip()
    own_groundplane.kill()
    own_groundplane.up()
    assert own_groundplane.exec(a, "cat", f"/proc/{pid}/comm").stdout == "sleep\n", "the instance lived on"
    assert ping(account, b, "10.0.1.10")
    assert {i["State"]["Name"] for i in (account.instance(a), account.instance(b))} == {"running"}


def _host():
    """What of the host must be as before."""

    def lines(*command):
        return sorted(subprocess.run(command, capture_output=True, text=True).stdout.splitlines())

    sysctls = [line for line in lines("sysctl", "-a") if re.match(r"net\.ipv[46]\.(conf|ip_forward|neigh)", line)]
    cgroups = lines("find", "/sys/fs/cgroup", "-path", "*groundplane*")
    return {
        "links": lines("ip", "-br", "link"),
        "routes": lines("ip", "route", "show", "table", "all") + lines("ip", "-6", "route", "show", "table", "all"),
        "netns": lines("ip", "netns"),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "pins": sorted(str(p) for p in Path("/sys/fs/bpf").glob("**/*")),
        "processes": [line for line in lines("ps", "-eo", "pid,args") if "groundplane" in line and "pytest" not in line],
        "sysctls": sysctls,
        "cgroups": cgroups,
    }


def _mine(host, groundplane):
    """Without what other Groundplanes on this host own: their processes, mounts and cgroups."""
    return {
        key: [v for v in values if groundplane.name in v or not re.search(r"groundplane|gp-test|test-[0-9a-f]{8}", v)]
        for key, values in host.items()
    }


def test_after_down_the_host_is_as_before(tmp_path):
    from conftest import Groundplane, free_port

    groundplane = Groundplane(tmp_path, free_port())
    before = _mine(_host(), groundplane)
    groundplane.up()
    account = groundplane.account()
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    account.run(subnet, [group], "10.0.1.10")
    b = account.run(subnet, [group], "10.0.1.20")
    assert ping(account, b, "10.0.1.10")
    groundplane.down()
    assert _mine(_host(), groundplane) == before
    assert not groundplane.run_dir.exists()
    assert not (tmp_path / "data").exists()


def test_down_cleans_up_after_a_crash_too(tmp_path):
    from conftest import Groundplane, free_port

    groundplane = Groundplane(tmp_path, free_port())
    before = _mine(_host(), groundplane)
    groundplane.up()
    account = groundplane.account()
    vpc, subnet = account.network()
    account.run(subnet, [account.group(vpc)])
    groundplane.kill()
    groundplane.down()
    assert _mine(_host(), groundplane) == before


def test_a_run_directory_from_before_a_reboot_of_the_host_is_made_whole(own_groundplane):
    """A reboot takes processes, mounts and control groups, but perhaps not the files of the run directory."""
    account = own_groundplane.account()
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    account.run(subnet, [group], "10.0.1.10")
    b = account.run(subnet, [group], "10.0.1.20", user_data="#!/bin/sh\necho once >> /root/ran\n")
    assert wait_for(lambda: own_groundplane.exec(b, "cat", "/root/ran", check=False).stdout == "once\n")
    own_groundplane.kill()
    for record in own_groundplane.run_dir.glob("**/sandbox.json"):
        subprocess.run(["kill", "-9", str(json.loads(record.read_text())["pid"])], check=True)
    for mounted in ("netns", "bpf"):
        for path in own_groundplane.run_dir.glob(f"**/{mounted}"):
            subprocess.run(["umount", str(path)], check=True)
    own_groundplane.up()
    assert wait_for(lambda: ping(account, b, "10.0.1.10")), own_groundplane.log()
    assert own_groundplane.exec(b, "cat", "/root/ran").stdout == "once\n"
    assert account.instance(b)["State"]["Name"] == "running"
