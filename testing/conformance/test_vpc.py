"""VPCs, subnets, route tables and what comes with them."""

import pytest
from conftest import REGION, refused


def test_an_account_starts_with_a_default_vpc_and_its_parts(account):
    [vpc] = account.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert vpc["CidrBlock"] == "172.31.0.0/16" and vpc["State"] == "available"
    here = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnets = account.ec2.describe_subnets(Filters=here)["Subnets"]
    assert len(subnets) >= 3 and all(s["DefaultForAz"] and s["CidrBlock"].endswith("/20") for s in subnets)
    [table] = account.ec2.describe_route_tables(Filters=here)["RouteTables"]
    assert {r["DestinationCidrBlock"] for r in table["Routes"]} == {"172.31.0.0/16", "0.0.0.0/0"}
    [group] = account.ec2.describe_security_groups(Filters=here)["SecurityGroups"]
    assert (group["GroupName"], group["Description"]) == ("default", "default VPC security group")
    [acl] = account.ec2.describe_network_acls(Filters=here)["NetworkAcls"]
    assert acl["IsDefault"] and {e["RuleNumber"] for e in acl["Entries"]} == {100, 32767}
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
    [gateway] = account.ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
    assert gateway["Attachments"][0]["State"] == "available"
    assert account.client("ec2", "us-west-2").describe_vpcs()["Vpcs"][0]["VpcId"] != vpc["VpcId"]


def test_a_new_vpc_answers_as_recorded_from_aws(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.7.9/16")["Vpc"]
    assert vpc["State"] == "pending" and vpc["CidrBlock"] == "10.0.0.0/16"
    assert vpc["IsDefault"] is False and vpc["InstanceTenancy"] == "default" and vpc["DhcpOptionsId"].startswith("dopt-")
    assert vpc["CidrBlockAssociationSet"][0]["CidrBlockState"]["State"] == "associated"
    assert vpc["OwnerId"] == account.number
    [described] = account.ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"]
    assert described["State"] == "available"
    here = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    [table] = account.ec2.describe_route_tables(Filters=[*here, {"Name": "association.main", "Values": ["true"]}])["RouteTables"]
    local = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
    assert table["Routes"] == [local]
    account.ec2.delete_vpc(VpcId=vpc["VpcId"])
    assert refused(account.ec2.describe_vpcs, VpcIds=[vpc["VpcId"]])[0] == "InvalidVpcID.NotFound"


@pytest.mark.parametrize(
    "block, code",
    [
        ("10.0.0.0/8", "InvalidVpc.Range"),
        ("10.0.0.0/29", "InvalidVpc.Range"),
        ("10.0.0/16", "InvalidParameterValue"),
        ("nonsense", "InvalidParameterValue"),
        ("10.0.0.256/16", "InvalidParameterValue"),
    ],
)
def test_blocks_that_no_vpc_can_have_are_refused(account, block, code):
    assert refused(account.ec2.create_vpc, CidrBlock=block)[0] == code


def test_attributes_are_shown_and_changed_one_at_a_time(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    def attribute(name, key):
        return account.ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)[key]["Value"]

    assert attribute("enableDnsSupport", "EnableDnsSupport") is True
    assert attribute("enableDnsHostnames", "EnableDnsHostnames") is False
    account.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    assert attribute("enableDnsHostnames", "EnableDnsHostnames") is True


def test_secondary_blocks_come_and_go(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    added = account.ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.1.0.0/16")["CidrBlockAssociation"]
    found = [{"Name": "cidr-block-association.association-id", "Values": [added["AssociationId"]]}]
    assert account.ec2.describe_vpcs(Filters=found)["Vpcs"][0]["VpcId"] == vpc
    subnet = account.subnet(vpc, "10.1.4.0/24")
    account.ec2.delete_subnet(SubnetId=subnet)
    account.ec2.disassociate_vpc_cidr_block(AssociationId=added["AssociationId"])
    assert account.ec2.describe_vpcs(Filters=found)["Vpcs"] == []


def test_subnets_answer_as_recorded_and_keep_apart(account):
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = account.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=REGION + "b")["Subnet"]
    assert subnet["AvailableIpAddressCount"] == 251 and subnet["State"] == "available"
    assert subnet["AvailabilityZone"] == REGION + "b" and subnet["MapPublicIpOnLaunch"] is False
    assert subnet["SubnetArn"] == f"arn:aws:ec2:{REGION}:{account.number}:subnet/{subnet['SubnetId']}"
    conflict = refused(account.ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.1.128/25")
    assert conflict == ("InvalidSubnet.Conflict", "The CIDR '10.0.1.128/25' conflicts with another subnet")
    outside = refused(account.ec2.create_subnet, VpcId=vpc, CidrBlock="10.1.0.0/24")
    assert outside == ("InvalidSubnet.Range", "The CIDR '10.1.0.0/24' is invalid.")
    account.ec2.create_network_interface(SubnetId=subnet["SubnetId"])
    assert account.ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"][0]["AvailableIpAddressCount"] == 250
    code, message = refused(account.ec2.delete_subnet, SubnetId=subnet["SubnetId"])
    assert code == "DependencyViolation"
    assert message == f"The subnet '{subnet['SubnetId']}' has dependencies and cannot be deleted."


def test_route_tables_are_associated_replaced_and_freed(account):
    vpc, subnet = account.network()
    table = account.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    association = account.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    mine = [{"Name": "association.route-table-association-id", "Values": [association]}]
    [shown] = account.ec2.describe_route_tables(Filters=mine)["RouteTables"]
    assert shown["Associations"][0]["AssociationState"]["State"] == "associated"
    assert refused(account.ec2.delete_route_table, RouteTableId=table)[0] == "DependencyViolation"
    other = account.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    moved = account.ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)["NewAssociationId"]
    account.ec2.delete_route_table(RouteTableId=table)
    account.ec2.disassociate_route_table(AssociationId=moved)
    account.ec2.delete_route_table(RouteTableId=other)
    assert refused(account.ec2.describe_route_tables, RouteTableIds=[other])[0] == "InvalidRouteTableID.NotFound"


def test_a_vpc_with_anything_in_it_can_not_be_deleted(account):
    vpc, subnet = account.network()
    code, message = refused(account.ec2.delete_vpc, VpcId=vpc)
    assert (code, message) == ("DependencyViolation", f"The vpc '{vpc}' has dependencies and cannot be deleted.")
    account.ec2.delete_subnet(SubnetId=subnet)
    account.ec2.delete_vpc(VpcId=vpc)


def test_the_quota_of_vpcs_holds(account):
    for _ in range(4):
        account.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert refused(account.ec2.create_vpc, CidrBlock="10.0.0.0/16")[0] == "VpcLimitExceeded"


def test_zones_and_regions_are_named_as_on_aws(account):
    zones = account.client("ec2", "us-east-1").describe_availability_zones()["AvailabilityZones"]
    first = next(z for z in zones if z["ZoneName"] == "us-east-1a")
    assert first["ZoneId"].startswith("use1-az") and first["State"] == "available"
    assert first["GroupName"] == "us-east-1-zg-1" and first["OptInStatus"] == "opt-in-not-required"
    regions = {r["RegionName"] for r in account.ec2.describe_regions()["Regions"]}
    assert {"us-east-1", "eu-central-1"} <= regions
