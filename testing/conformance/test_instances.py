"""Instances, images, types, key pairs and tags."""

import base64
import subprocess

from conftest import refused


def test_an_instance_goes_through_its_states(account):
    vpc, subnet = account.network()
    answer = account.ec2.run_instances(ImageId=account.image(), InstanceType="t3.micro", MinCount=1, MaxCount=1, SubnetId=subnet)
    [made] = answer["Instances"]
    assert made["State"] == {"Code": 0, "Name": "pending"} and answer["ReservationId"].startswith("r-")
    assert made["NetworkInterfaces"][0]["Status"] == "in-use"
    assert made["NetworkInterfaces"][0]["Attachment"]["DeleteOnTermination"] is True
    instance = made["InstanceId"]
    account.wait(instance, "running")
    [status] = account.ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"]
    assert status["InstanceStatus"]["Status"] == status["SystemStatus"]["Status"] == "ok"
    [change] = account.ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    account.wait(instance, "stopped")
    stopped = account.instance(instance)
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["PrivateIpAddress"] == made["PrivateIpAddress"]
    [change] = account.ec2.start_instances(InstanceIds=[instance])["StartingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopped", "pending")
    account.wait(instance, "running")
    account.ec2.reboot_instances(InstanceIds=[instance])
    [change] = account.ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"]
    assert change["CurrentState"]["Name"] == "shutting-down"
    account.wait(instance, "terminated")


def test_protection_and_unknown_ids_are_refused_in_aws_words(account):
    vpc, subnet = account.network()
    instance = account.run(subnet, None, DisableApiTermination=True)
    assert refused(account.ec2.terminate_instances, InstanceIds=[instance]) == (
        "OperationNotPermitted",
        f"The instance '{instance}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
    )
    account.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    account.ec2.terminate_instances(InstanceIds=[instance])
    unknown = refused(account.ec2.describe_instances, InstanceIds=["i-0123456789abcdef0"])
    assert unknown == ("InvalidInstanceID.NotFound", "The instance ID 'i-0123456789abcdef0' does not exist")
    assert refused(account.ec2.describe_instances, InstanceIds=["x"])[0] == "InvalidInstanceID.Malformed"
    no_image = refused(account.ec2.run_instances, ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1, SubnetId=subnet)
    assert no_image == ("InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist")
    no_type = refused(account.ec2.run_instances, ImageId=account.image(), InstanceType="t9.huge", MinCount=1, MaxCount=1, SubnetId=subnet)
    assert no_type[0] == "InvalidParameterValue"


def test_a_client_token_runs_once(account):
    vpc, subnet = account.network()
    request = dict(ImageId=account.image(), InstanceType="t3.nano", MinCount=1, MaxCount=1, SubnetId=subnet, ClientToken="once")
    first, second = (account.ec2.run_instances(**request)["Instances"][0]["InstanceId"] for _ in range(2))
    assert first == second
    assert refused(account.ec2.run_instances, **{**request, "MaxCount": 2})[0] == "IdempotentParameterMismatch"


def test_a_list_with_one_bad_id_changes_no_state(account):
    vpc, subnet = account.network()
    instance = account.run(subnet, None)
    unknown = "i-0123456789abcdef0"
    for call in (account.ec2.stop_instances, account.ec2.terminate_instances, account.ec2.reboot_instances):
        assert refused(call, InstanceIds=[instance, unknown]) == (
            "InvalidInstanceID.NotFound",
            f"The instance ID '{unknown}' does not exist",
        )
    assert account.instance(instance)["State"]["Name"] == "running"


def test_a_launch_takes_what_the_subnet_has_left_down_to_the_minimum(account):
    vpc, _ = account.network()
    small = account.subnet(vpc, "10.0.9.0/28")
    full = "InsufficientFreeAddressesInSubnet"
    request = dict(ImageId=account.image(), InstanceType="t3.nano", SubnetId=small)
    words = f"There are not enough free addresses in subnet '{small}' to satisfy the requested number of instances."
    assert refused(account.ec2.run_instances, MinCount=12, MaxCount=12, **request) == (full, words)
    assert len(account.ec2.run_instances(MinCount=1, MaxCount=12, **request)["Instances"]) == 11
    assert account.ec2.describe_subnets(SubnetIds=[small])["Subnets"][0]["AvailableIpAddressCount"] == 0
    assert refused(account.ec2.run_instances, MinCount=1, MaxCount=1, **request) == (full, words)


def test_the_default_vpc_is_launched_into_by_group_name(account):
    group = account.ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
    request = dict(ImageId=account.image(), InstanceType="t3.nano", MinCount=1, MaxCount=1)
    [made] = account.ec2.run_instances(SecurityGroups=["web"], **request)["Instances"]
    assert [g["GroupId"] for g in made["SecurityGroups"]] == [group]
    [default] = [v for v in account.ec2.describe_vpcs()["Vpcs"] if v["IsDefault"]]
    assert made["VpcId"] == default["VpcId"]
    assert refused(account.ec2.run_instances, SecurityGroups=["none"], **request)[0] == "InvalidGroup.NotFound"


def test_dry_run_says_so_and_does_nothing(account):
    vpc, subnet = account.network()
    code, message = refused(account.ec2.run_instances, ImageId=account.image(), MinCount=1, MaxCount=1, SubnetId=subnet, DryRun=True)
    assert (code, message) == ("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    assert account.ec2.describe_instances()["Reservations"] == []


def test_attributes_are_read_back(account):
    vpc, subnet = account.network()
    instance = account.run(subnet, None, user_data="#!/bin/sh\ntrue\n")
    shown = account.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(shown) == b"#!/bin/sh\ntrue\n"
    assert refused(account.ec2.modify_instance_attribute, InstanceId=instance, InstanceType={"Value": "t3.small"})[0] == "IncorrectInstanceState"
    account.ec2.stop_instances(InstanceIds=[instance])
    account.wait(instance, "stopped")
    account.ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t3.small"})
    assert account.instance(instance)["InstanceType"] == "t3.small"


def test_images_are_found_by_the_names_that_people_use(account):
    for owner, name in [
        ("amazon", "al2023-ami-2023.*-kernel-6.1-x86_64"),
        ("amazon", "amzn2-ami-hvm-*-x86_64-gp2"),
        ("099720109477", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*"),
        ("136693071363", "debian-12-amd64-*"),
    ]:
        images = account.ec2.describe_images(Owners=[owner], Filters=[{"Name": "name", "Values": [name]}])["Images"]
        assert images and all(i["State"] == "available" and i["RootDeviceName"] for i in images), name


def test_types_carry_their_limits(account):
    [nano] = account.ec2.describe_instance_types(InstanceTypes=["t2.micro"])["InstanceTypes"]
    assert nano["NetworkInfo"]["MaximumNetworkInterfaces"] == 2 and nano["NetworkInfo"]["Ipv4AddressesPerInterface"] == 2
    assert nano["MemoryInfo"]["SizeInMiB"] == 1024
    offered = account.ec2.describe_instance_type_offerings(Filters=[{"Name": "instance-type", "Values": ["m5.*"]}])
    assert {o["InstanceType"] for o in offered["InstanceTypeOfferings"]} >= {"m5.large", "m5.24xlarge"}


def test_key_pairs_are_made_imported_and_usable(account, tmp_path):
    made = account.ec2.create_key_pair(KeyName="k", KeyType="ed25519")
    private = tmp_path / "key"
    private.write_text(made["KeyMaterial"])
    private.chmod(0o600)
    public = subprocess.run(["ssh-keygen", "-y", "-f", str(private)], capture_output=True, text=True)
    assert public.returncode == 0, public.stderr
    account.ec2.import_key_pair(KeyName="imported", PublicKeyMaterial=public.stdout.encode())
    assert {k["KeyName"] for k in account.ec2.describe_key_pairs()["KeyPairs"]} == {"k", "imported"}
    assert refused(account.ec2.describe_key_pairs, KeyNames=["none"]) == ("InvalidKeyPair.NotFound", "The key pair 'none' does not exist")
    assert refused(account.ec2.create_key_pair, KeyName="k")[0] == "InvalidKeyPair.Duplicate"
    account.ec2.delete_key_pair(KeyName="k")


def test_tags_go_on_everything_and_are_listed(account):
    vpc, subnet = account.network()
    group = account.group(vpc)
    rule = account.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"][0]
    things = [vpc, subnet, group, rule["SecurityGroupRuleId"]]
    account.ec2.create_tags(Resources=things, Tags=[{"Key": "team", "Value": "blue"}])
    listed = account.ec2.describe_tags(Filters=[{"Name": "key", "Values": ["team"]}])["Tags"]
    assert {t["ResourceId"] for t in listed} == set(things)
    account.ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "team"}])
    assert len(account.ec2.describe_tags(Filters=[{"Name": "key", "Values": ["team"]}])["Tags"]) == 3
    nothing = refused(account.ec2.create_tags, Resources=[], Tags=[{"Key": "team", "Value": "blue"}])
    assert nothing == ("MissingParameter", "The request must contain the parameter resourceIdSet")
    reserved = refused(account.ec2.create_tags, Resources=[vpc], Tags=[{"Key": "aws:x", "Value": ""}])
    assert reserved[0] == "InvalidParameterValue"


def test_an_account_is_named_by_its_access_key(account):
    assert account.client("sts").get_caller_identity()["Account"] == account.number
    limits = account.ec2.describe_account_attributes(AttributeNames=["supported-platforms"])["AccountAttributes"]
    assert limits[0]["AttributeValues"][0]["AttributeValue"] == "VPC"
