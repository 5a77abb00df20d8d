"""The real aws CLI, the tour, and the commands of `groundplane`."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from conftest import permission


def test_the_aws_cli_builds_lists_and_tears_down(account):
    vpc = account.aws("ec2", "create-vpc", "--cidr-block", "10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = account.aws("ec2", "create-subnet", "--vpc-id", vpc, "--cidr-block", "10.0.1.0/24")["Subnet"]["SubnetId"]
    group = account.aws("ec2", "create-security-group", "--group-name", "g", "--description", "d", "--vpc-id", vpc)["GroupId"]
    account.aws("ec2", "authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port", "22", "--cidr", "10.0.0.0/8")
    run = ["--image-id", account.image(), "--instance-type", "t3.micro", "--subnet-id", subnet, "--security-group-ids", group]
    instance = account.aws("ec2", "run-instances", *run)["Instances"][0]["InstanceId"]
    account.aws("ec2", "wait", "instance-running", "--instance-ids", instance)
    found = account.aws("ec2", "describe-instances", "--filters", f"Name=vpc-id,Values={vpc}", "--query", "Reservations[].Instances[].InstanceId")
    assert found == [instance]
    account.aws("ec2", "terminate-instances", "--instance-ids", instance)
    account.wait(instance, "terminated")
    account.aws("ec2", "delete-security-group", "--group-id", group)
    account.aws("ec2", "delete-subnet", "--subnet-id", subnet)
    account.aws("ec2", "delete-vpc", "--vpc-id", vpc)
    failed = account.aws("ec2", "describe-vpcs", "--vpc-ids", vpc, check=False)
    assert failed.returncode != 0 and "InvalidVpcID.NotFound" in failed.stderr


def test_env_is_what_a_shell_needs(groundplane):
    lines = groundplane.command("env", "--account", "123456789012").stdout
    script = f"{lines}\naws sts get-caller-identity --query Account --output text"
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "123456789012", result.stderr
    assert json.loads(groundplane.command("env", "--json").stdout)["AWS_ENDPOINT_URL"] == groundplane.endpoint


def test_why_names_the_missing_permission_and_its_remedy_works(account):
    vpc, subnet = account.network()
    servers, clients = account.group(vpc, "servers"), account.group(vpc, "clients")
    server = account.run(subnet, [servers], "10.0.1.10", name="why-server")
    account.run(subnet, [clients], "10.0.1.20", name="why-client")
    denied = account.groundplane.command("why", "why-client", "why-server", "tcp/80", check=False)
    assert denied.returncode == 1 and servers in denied.stdout
    remedies = [line.strip() for line in denied.stdout.splitlines() if "aws ec2 authorize-security-group-ingress" in line]
    assert len(remedies) == 2 and "10.0.1.20/32" in remedies[0] and clients in remedies[1]
    result = subprocess.run(["sh", "-c", remedies[0]], env={**os.environ, **account.environment()}, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert account.groundplane.command("why", "why-client", server, "tcp/80").returncode == 0
    unknown = account.groundplane.command("why", "nobody", "why-server", "tcp/80", check=False)
    assert unknown.returncode == 1 and "nobody" in unknown.stderr


def test_why_reads_addresses_and_interfaces_too(account):
    vpc, subnet = account.network()
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    a = account.run(subnet, [group], "10.0.1.10")
    b = account.run(subnet, [group], "10.0.1.20")
    eni = account.instance(b)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assert account.groundplane.why(a, eni, "icmp")[0]
    assert account.groundplane.why(a, "10.0.1.20", "udp/53")[0]
    reachable, path = account.groundplane.why(a, "10.0.1.30", "tcp/80")
    assert not reachable and "no-such-address" in json.dumps(path)
    reachable, path = account.groundplane.why(a, "192.0.2.1", "tcp/80")
    assert not reachable and "no-route" in json.dumps(path)


def test_the_tour_runs_twice_in_a_row(groundplane):
    for _ in range(2):
        tour = groundplane.command("demo", check=False, timeout=120)
        assert tour.returncode == 0, tour.stdout + tour.stderr
        assert "hello from shop" in tour.stdout and "hello from lab" in tour.stdout and "authorize-security-group-ingress" in tour.stdout


def test_doctor_finds_this_machine_fit(groundplane):
    checks = json.loads(groundplane.command("doctor", "--json").stdout)
    assert all(check["ok"] for check in checks["checks"]), checks


def test_two_groundplanes_run_side_by_side(account, own_groundplane):
    other = own_groundplane.account()
    for one in (account, other):
        vpc, subnet = one.network()
        one.run(subnet, None, "10.0.1.10")
    assert len(other.ec2.describe_instances()["Reservations"]) == 1


def test_the_api_answers_while_the_operators_questions_wait(own_groundplane):
    """More consoles than there are processors, of a file that doesn't end."""
    account = own_groundplane.account()
    vpc, subnet = account.network()
    instance = account.run(subnet, [account.group(vpc)])
    account.ec2.stop_instances(InstanceIds=[instance])
    account.wait(instance, "stopped")
    (console,) = own_groundplane.directory.glob(f"data/**/{instance}/console.log")
    console.unlink()
    os.mkfifo(console)
    questions = os.cpu_count() + 2
    with ThreadPoolExecutor(questions + 1) as pool:
        consoles = [pool.submit(own_groundplane.command, "logs", instance) for _ in range(questions)]
        try:
            time.sleep(1)
            assert not any(asked.done() for asked in consoles)
            call = pool.submit(account.ec2.describe_vpcs, VpcIds=[vpc])
            assert call.result(timeout=10)["Vpcs"]
        finally:
            # Each file that is being opened ends with the writer. One that comes later needs the next.
            for _ in range(300):
                if all(asked.done() for asked in consoles):
                    break
                with suppress(OSError):
                    os.close(os.open(console, os.O_WRONLY | os.O_NONBLOCK))
                time.sleep(0.1)
    assert all(asked.result().returncode == 0 for asked in consoles)


def test_a_second_up_of_the_same_name_is_refused(groundplane):
    result = subprocess.run(
        [os.environ.get("GROUNDPLANE", "groundplane"), "up", "--listen", "127.0.0.1:0"],
        env=groundplane.environment, capture_output=True, text=True, timeout=30,
    )
    assert result.returncode == 1 and "running" in result.stderr
