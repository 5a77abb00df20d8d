"""Routes by the real clients: targets, black holes, middleboxes inside the VPC, tables of gateways."""

from conftest import refused


def routes(account, table):
    return account.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]


def table_of(account, vpc):
    return account.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]


def test_a_route_follows_its_instance(account):
    vpc, subnet = account.network()
    table = table_of(account, vpc)
    instance = account.run(subnet, [], "10.0.1.10")
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", InstanceId=instance)
    [_, route] = routes(account, table)
    assert (route["InstanceId"], route["InstanceOwnerId"], route["State"]) == (instance, account.number, "active")
    assert route["NetworkInterfaceId"] == account.instance(instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    account.ec2.stop_instances(InstanceIds=[instance])
    account.wait(instance, "stopped")
    assert routes(account, table)[1]["State"] == "blackhole"
    blackholes = [{"Name": "route.state", "Values": ["blackhole"]}]
    assert account.ec2.describe_route_tables(Filters=blackholes)["RouteTables"][0]["RouteTableId"] == table
    account.ec2.terminate_instances(InstanceIds=[instance])
    account.wait(instance, "terminated")
    assert routes(account, table)[1]["State"] == "blackhole", "the route outlives its target"
    account.aws("ec2", "delete-route", "--route-table-id", table, "--destination-cidr-block", "0.0.0.0/0")
    assert len(routes(account, table)) == 1


def test_an_instance_with_two_interfaces_is_no_target(account):
    vpc, subnet = account.network()
    table = table_of(account, vpc)
    instance = account.run(subnet, [])
    eni = account.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    account.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=1)
    code, message = refused(account.ec2.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", InstanceId=instance)
    assert code == "InvalidInstanceID"
    assert message == f"There are multiple interfaces attached to instance '{instance}'. Please specify an interface ID for the operation instead."
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=eni)


def test_routes_inside_the_vpc_lead_to_middleboxes_alone(account):
    vpc, subnet = account.network()
    account.subnet(vpc, "10.0.2.0/24")
    table = table_of(account, vpc)
    box = account.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.0.2.0/24", NetworkInterfaceId=box)
    part = {"RouteTableId": table, "DestinationCidrBlock": "10.0.2.0/25", "NetworkInterfaceId": box}
    assert refused(account.ec2.create_route, **part)[0] == "InvalidParameterValue"
    local = {"RouteTableId": table, "DestinationCidrBlock": "10.0.0.0/16"}
    assert refused(account.ec2.create_route, NetworkInterfaceId=box, **local)[0] == "RouteAlreadyExists"
    account.ec2.replace_route(NetworkInterfaceId=box, **local)
    replaced = next(r for r in routes(account, table) if r["DestinationCidrBlock"] == "10.0.0.0/16")
    assert (replaced["NetworkInterfaceId"], replaced["Origin"]) == (box, "CreateRouteTable")
    assert refused(account.ec2.delete_route, **local)[0] == "InvalidParameterValue"
    account.ec2.replace_route(LocalTarget=True, **local)
    assert routes(account, table)[0]["GatewayId"] == "local"


def test_a_gateways_table_has_its_own_rules(account):
    gateway = account.ec2.describe_internet_gateways()["InternetGateways"][0]
    vpc, gateway = gateway["Attachments"][0]["VpcId"], gateway["InternetGatewayId"]
    table = table_of(account, vpc)
    answer = account.ec2.associate_route_table(RouteTableId=table, GatewayId=gateway)
    assert answer["AssociationState"]["State"] == "associated"
    found = [{"Name": "association.gateway-id", "Values": [gateway]}]
    [shown] = account.ec2.describe_route_tables(Filters=found)["RouteTables"]
    assert (shown["RouteTableId"], shown["Associations"][0]["GatewayId"], shown["Associations"][0]["Main"]) == (table, gateway, False)
    out = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    assert refused(account.ec2.create_route, **out)[0] == "InvalidParameterValue"
    other = table_of(account, vpc)
    assert refused(account.ec2.associate_route_table, RouteTableId=other, GatewayId=gateway)[0] == "Resource.AlreadyAssociated"
    moved = account.ec2.replace_route_table_association(AssociationId=answer["AssociationId"], RouteTableId=other)
    account.ec2.disassociate_route_table(AssociationId=moved["NewAssociationId"])
    assert account.ec2.describe_route_tables(Filters=found)["RouteTables"] == []


def test_targets_that_do_not_exist_are_refused_by_name(account):
    vpc, _ = account.network()
    to = {"RouteTableId": table_of(account, vpc), "DestinationCidrBlock": "0.0.0.0/0"}
    for parameter, value, code in [
        ("NatGatewayId", "nat-00000000000000fff", "InvalidNatGatewayID.NotFound"),
        ("NetworkInterfaceId", "eni-00000000000000fff", "InvalidNetworkInterfaceID.NotFound"),
        ("InstanceId", "i-00000000000000fff", "InvalidInstanceID.NotFound"),
        ("GatewayId", "igw-00000000000000fff", "InvalidGatewayID.NotFound"),
        ("TransitGatewayId", "tgw-00000000000000fff", "UnsupportedOperation"),
        ("VpcPeeringConnectionId", "pcx-00000000000000fff", "UnsupportedOperation"),
    ]:
        assert refused(account.ec2.create_route, **to, **{parameter: value})[0] == code, parameter
