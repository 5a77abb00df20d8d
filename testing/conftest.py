"""A running Groundplane for the client tests, in a network namespace without a way out.

`./test` starts pytest inside such a namespace already; started by hand it refuses to run, so that no test packet can
reach the machine's own network. Each test works in an account of its own, so tests share one server.
"""

import itertools
import json
import os
import random
import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "eu-central-1"
BINARY = os.environ.get("GROUNDPLANE", str(Path(__file__).parent.parent / "target/debug/groundplane"))
_accounts = itertools.count(random.randrange(1, 9 * 10**9) * 10)


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.timeout(300))


def _links():
    return re.findall(r"^\d+: ([^:@]+)", subprocess.check_output(["ip", "link"], text=True), re.M)


@pytest.fixture(scope="session", autouse=True)
def isolated():
    outside = [link for link in _links() if link not in ("lo", "ifb0", "ifb1", "sit0", "tunl0", "ip6tnl0")]
    if outside:
        pytest.exit(f"run by ./test: this network namespace has {outside}, and no test packet may get there", 2)


class Groundplane:
    """One `groundplane up`, by name, with its own run and data directories.

    Only one at a time can have the public addresses of a namespace: the others do without an uplink.
    """

    def __init__(self, directory, port, *options, uplink=()):
        self.name = "test-" + uuid.uuid4().hex[:8]
        self.directory = Path(directory)
        self.endpoint = f"http://127.0.0.1:{port}"
        self.options = ["--listen", f"127.0.0.1:{port}", "--data-dir", str(self.directory / "data"), *options]
        self.options += ["--no-uplink"] if uplink == () else uplink
        # Short, since unix socket paths are limited to 107 bytes.
        self.run_dir = Path("/run/gp-test") / self.name
        self.environment = {**os.environ, "GROUNDPLANE_RUN_DIR": str(self.run_dir), "GROUNDPLANE_NAME": self.name}
        self.process = None

    def up(self, *within):
        """Starts it, with the words of another command in front where given."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        log = open(self.directory / "up.log", "ab")
        self.process = subprocess.Popen(
            [*within, BINARY, "up", *self.options], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError("groundplane up ended:\n" + self.log())
            if self.command("status", check=False).returncode == 0:
                return self
            time.sleep(0.05)
        raise RuntimeError("groundplane up was not ready within 30 s:\n" + self.log())

    def log(self):
        return (self.directory / "up.log").read_text(errors="replace")[-8000:]

    def kill(self):
        """kill -9: nothing of the process gets a chance to clean up."""
        self.process.kill()
        self.process.wait()

    def down(self, *options):
        result = self.command("down", *(options or ["--purge"]), check=False)
        if self.process:
            self.process.wait(timeout=30)
        shutil.rmtree(self.run_dir, ignore_errors=True)
        assert result.returncode == 0, result.stderr
        return result

    def command(self, *arguments, check=True, timeout=60, **options):
        result = subprocess.run(
            [BINARY, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout, **options
        )
        if check and result.returncode != 0:
            raise AssertionError(f"groundplane {' '.join(arguments)}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def exec(self, instance, *command, check=True, timeout=60):
        """A command inside an instance; its result."""
        return self.command("exec", instance, "--", *command, check=check, timeout=timeout, stdin=subprocess.DEVNULL)

    def popen_exec(self, instance, *command, stdin=subprocess.DEVNULL):
        return subprocess.Popen(
            [BINARY, "exec", instance, "--", *command],
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def why(self, source, target, service):
        """(is it reachable, the path as JSON)"""
        result = self.command("why", source, target, service, "--json", check=False)
        assert result.returncode in (0, 1), result.stderr
        return result.returncode == 0, json.loads(result.stdout)

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def account(self):
        return Account(self, f"{next(_accounts) % 10**12:012d}")


class Account:
    """One AWS account on a Groundplane: boto3 clients and the usual things that tests build."""

    def __init__(self, groundplane, number):
        self.groundplane = groundplane
        self.number = number
        self.ec2 = self.client("ec2")

    def environment(self, region=REGION):
        return {
            "AWS_ENDPOINT_URL": self.groundplane.endpoint,
            "AWS_ACCESS_KEY_ID": self.number,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def client(self, service, region=REGION):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.groundplane.endpoint,
            aws_access_key_id=self.number,
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )

    def aws(self, *arguments, check=True):
        """The real aws CLI: its JSON answer, or the finished process where check is off."""
        result = subprocess.run(
            ["aws", *arguments, "--output", "json"],
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            timeout=60,
        )
        if not check:
            return result
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout) if result.stdout.strip() else None

    def image(self):
        images = self.ec2.describe_images(
            Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-ami-2023.*-kernel-6.1-x86_64"]}]
        )["Images"]
        return images[0]["ImageId"]

    def network(self, block="10.0.0.0/16", subnet="10.0.1.0/24", zone="a"):
        """(VPC id, subnet id)"""
        vpc = self.ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
        return vpc, self.subnet(vpc, subnet, zone)

    def subnet(self, vpc, block, zone="a"):
        answer = self.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=REGION + zone)
        return answer["Subnet"]["SubnetId"]

    def group(self, vpc, name="group", *ingress):
        """A group whose ingress rules are `permission(...)`s."""
        group = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        if ingress:
            self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=list(ingress))
        return group

    def run(self, subnet, groups, address=None, name=None, user_data=None, wait=True, **options):
        if address:
            options["PrivateIpAddress"] = address
        if name:
            options["TagSpecifications"] = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
        if user_data:
            options["UserData"] = user_data
        if groups:
            options["SecurityGroupIds"] = groups
        options.setdefault("InstanceType", "t3.micro")
        options.setdefault("MinCount", 1)
        options.setdefault("MaxCount", options["MinCount"])
        answer = self.ec2.run_instances(ImageId=self.image(), SubnetId=subnet, **options)
        ids = [instance["InstanceId"] for instance in answer["Instances"]]
        if wait:
            self.wait(ids, "running")
        return ids[0] if len(ids) == 1 else ids

    def instance(self, instance):
        return self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]

    def wait(self, ids, state, seconds=60):
        ids = [ids] if isinstance(ids, str) else list(ids)
        deadline = time.monotonic() + seconds
        while True:
            answer = self.ec2.describe_instances(InstanceIds=ids)["Reservations"]
            instances = [i for r in answer for i in r["Instances"]]
            if all(i["State"]["Name"] == state for i in instances):
                return
            states = {i["InstanceId"]: (i["State"]["Name"], i.get("StateReason", {}).get("Message")) for i in instances}
            assert time.monotonic() < deadline, f"still {states} after {seconds} s, not {state}"
            time.sleep(0.05)

    def reset(self):
        subprocess.run(
            [
                "curl", "-fsS", "-X", "POST", "-H",
                f"Authorization: AWS4-HMAC-SHA256 Credential={self.number}/20260101/{REGION}/ec2/aws4_request, "
                "SignedHeaders=host, Signature=0",
                f"{self.groundplane.endpoint}/_groundplane/reset",
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )


def permission(protocol="tcp", port=None, cidr=None, group=None, last=None, cidr6=None):
    """One IpPermission."""
    result = {"IpProtocol": protocol}
    if port is not None:
        result |= {"FromPort": port, "ToPort": port if last is None else last}
    if cidr:
        result["IpRanges"] = [{"CidrIp": cidr}]
    if cidr6:
        result["Ipv6Ranges"] = [{"CidrIpv6": cidr6}]
    if group:
        result["UserIdGroupPairs"] = [{"GroupId": group}]
    return result


def refused(call, **arguments):
    """The (code, message) with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def groundplane(tmp_path_factory):
    running = Groundplane(tmp_path_factory.mktemp("gp"), free_port(), uplink=["--byoip-pool", f"{REGION}=198.19.255.0/28"]).up()
    yield running
    running.down()


@pytest.fixture
def own_groundplane(tmp_path):
    """A Groundplane for one test alone, which may kill it."""
    running = Groundplane(tmp_path, free_port()).up()
    yield running
    running.down()


@pytest.fixture(scope="session")
def internet(tmp_path_factory):
    """An internet of namespaces, and a Groundplane that reaches it by a card: see netns/internet.py."""
    from internet import Internet

    with Internet(tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture(scope="session")
def ways(internet):
    """One VPC with every way out, and a client on each: see netns/every_way.py."""
    from every_way import Ways

    return Ways(internet)


@pytest.fixture
def account(groundplane):
    account = groundplane.account()
    yield account
    account.reset()
