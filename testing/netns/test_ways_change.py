"""A changed route, list, address or gateway acts on running flows within the call: what is sent after its return obeys.

Source: EC2 user guide, "Connection tracking" (lists act at once on tracked connections); VPC user guide, "Route
tables".
Promise 2 of the design: no test needs to wait.
"""

import pytest
from internet import WEB, WEB6, Network, route, why
from loops import after, both, loop


@pytest.fixture(scope="module")
def world(internet):
    """A public instance, a private one with a table of its own, a NAT gateway."""
    account = internet.groundplane.account()
    network = Network(account)
    network.public, network.public_table = network.subnet(1, ("0.0.0.0/0", network.igw), ("::/0", network.igw))
    network.nats, _ = network.subnet(3, ("0.0.0.0/0", network.igw))
    network.nat, network.nat_address = network.nat_gateway(network.nats)
    network.private, network.private_table = network.subnet(2, ("0.0.0.0/0", network.nat))
    network.web = network.run(network.public, "10.0.1.10", ipv6=True)
    network.hidden = network.run(network.private, "10.0.2.10")
    network.address, network.allocation = network.elastic(network.web)
    yield network
    account.reset()


def test_a_replaced_route_moves_running_datagrams_to_another_gateway(world):
    table = world.public_table
    replace = lambda target: after(world.ec2.replace_route, RouteTableId=table, **route("0.0.0.0/0", target))
    with loop(world.groundplane, world.web, "udp", WEB) as datagrams:
        moment, _ = replace(world.nat)
        datagrams.expect_answers(moment, world.nat_address)
        assert why(world.groundplane, world.web, WEB, "udp/7") == (True, None)
        moment, _ = replace(world.igw)
        datagrams.expect_answers(moment, world.address)


def test_a_replaced_route_ends_a_stream_that_the_new_gateway_does_not_know(world):
    with loop(world.groundplane, world.web, "tcp", WEB) as stream:
        world.ec2.replace_route(RouteTableId=world.public_table, **route("0.0.0.0/0", world.nat))
        try:
            stream.thread.join(20)
            assert stream.errors == ["ConnectionResetError"], "a NAT gateway resets what it does not know"
        finally:
            world.ec2.replace_route(RouteTableId=world.public_table, **route("0.0.0.0/0", world.igw))


def test_a_deleted_route_stops_both_and_a_created_one_lets_both_go_on(world):
    table, destination = world.public_table, "0.0.0.0/0"
    with both(world, world.web, WEB) as (datagrams, stream):
        moment, _ = after(world.ec2.delete_route, RouteTableId=table, DestinationCidrBlock=destination)
        datagrams.expect_silence(moment)
        stream.expect_silence(moment)
        assert why(world.groundplane, world.web, WEB) == (False, "no-route")
        moment, _ = after(world.ec2.create_route, RouteTableId=table, **route(destination, world.igw))
        datagrams.expect_answers(moment, world.address)
        stream.expect_answers(moment)


def test_a_prefix_list_acts_where_a_route_uses_it(world):
    entry = {"Cidr": f"{WEB}/32"}
    made = world.ec2.create_managed_prefix_list(
        PrefixListName="servers", AddressFamily="IPv4", MaxEntries=5, Entries=[entry]
    )["PrefixList"]
    prefix_list = made["PrefixListId"]
    subnet, table = world.subnet(4, (prefix_list, world.nat))
    instance = world.run(subnet, "10.0.4.10")

    def modify(**change):
        version = world.ec2.describe_managed_prefix_lists(PrefixListIds=[prefix_list])["PrefixLists"][0]["Version"]
        return after(
            world.ec2.modify_managed_prefix_list, PrefixListId=prefix_list, CurrentVersion=version, **change
        )

    with both(world, instance, WEB) as (datagrams, stream):
        moment, _ = modify(RemoveEntries=[entry])
        datagrams.expect_silence(moment)
        stream.expect_silence(moment)
        assert why(world.groundplane, instance, WEB) == (False, "no-route")
        moment, _ = modify(AddEntries=[{"Cidr": "198.19.1.0/24"}])
        datagrams.expect_answers(moment, world.nat_address)
        stream.expect_answers(moment)


@pytest.mark.parametrize("is_egress", [True, False], ids=["out", "in"])
def test_a_network_acl_entry_cuts_tracked_connections_and_lets_them_go_on(world, is_egress):
    lists = world.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [world.vpc]}])["NetworkAcls"]
    entry = {"NetworkAclId": lists[0]["NetworkAclId"], "RuleNumber": 10, "Egress": is_egress}
    rule = {"Protocol": "-1", "CidrBlock": f"{WEB}/32"}
    world.ec2.create_network_acl_entry(**entry, **rule, RuleAction="allow")
    try:
        for instance in (world.web, world.hidden):
            with both(world, instance, WEB) as (datagrams, stream):
                moment, _ = after(world.ec2.replace_network_acl_entry, **entry, **rule, RuleAction="deny")
                datagrams.expect_silence(moment)
                stream.expect_silence(moment)
                reason = "network-acl-egress" if is_egress else "network-acl-ingress"
                assert why(world.groundplane, instance, WEB) == (False, reason)
                moment, _ = after(world.ec2.replace_network_acl_entry, **entry, **rule, RuleAction="allow")
                datagrams.expect_answers(moment)
                stream.expect_answers(moment)
    finally:
        world.ec2.delete_network_acl_entry(**entry)


def test_an_elastic_address_that_goes_and_comes_back_stops_and_resumes_flows(world):
    associate = {"AllocationId": world.allocation, "InstanceId": world.web}
    with both(world, world.web, WEB) as (datagrams, stream):
        association = world.ec2.describe_addresses(AllocationIds=[world.allocation])["Addresses"][0]["AssociationId"]
        moment, _ = after(world.ec2.disassociate_address, AssociationId=association)
        datagrams.expect_silence(moment)
        stream.expect_silence(moment)
        assert why(world.groundplane, world.web, WEB) == (False, "no-public-address")
        moment, _ = after(world.ec2.associate_address, **associate)
        datagrams.expect_answers(moment, world.address)
        stream.expect_answers(moment)


def test_another_elastic_address_is_the_source_from_the_call_on(world):
    other, allocation = world.elastic()
    with loop(world.groundplane, world.web, "udp", WEB) as datagrams:
        moment, _ = after(world.ec2.associate_address, AllocationId=allocation, InstanceId=world.web)
        datagrams.expect_answers(moment, other)
        moment, _ = after(world.ec2.associate_address, AllocationId=world.allocation, InstanceId=world.web)
        datagrams.expect_answers(moment, world.address)
    world.ec2.release_address(AllocationId=allocation)


def test_a_deleted_nat_gateway_stops_its_flows_and_a_new_one_takes_new_ones(world):
    subnet, table = world.subnet(5)
    gateway, address = world.nat_gateway(world.nats)
    world.ec2.create_route(RouteTableId=table, **route("0.0.0.0/0", gateway))
    instance = world.run(subnet, "10.0.5.10")
    with both(world, instance, WEB) as (datagrams, stream):
        moment, _ = after(world.ec2.delete_nat_gateway, NatGatewayId=gateway)
        datagrams.expect_silence(moment)
        stream.expect_silence(moment)
        assert why(world.groundplane, instance, WEB) == (False, "blackhole")
        moment, _ = after(world.ec2.replace_route, RouteTableId=table, **route("0.0.0.0/0", world.nat))
        datagrams.expect_answers(moment, world.nat_address)
        stream.thread.join(20)
        assert stream.errors == ["ConnectionResetError"]


def test_a_detached_internet_gateway_stops_flows_until_it_is_attached_again(internet):
    """Only one that maps no public addresses can be detached: IPv6 needs none."""
    account = internet.groundplane.account()
    network = Network(account)
    subnet, _ = network.subnet(1, ("::/0", network.igw))
    instance = network.run(subnet, "10.0.1.10", ipv6=True)
    gateway = {"InternetGatewayId": network.igw, "VpcId": network.vpc}
    with both(network, instance, WEB6) as (datagrams, stream):
        moment, _ = after(network.ec2.detach_internet_gateway, **gateway)
        datagrams.expect_silence(moment)
        stream.expect_silence(moment)
        assert why(network.groundplane, instance, WEB6) == (False, "blackhole")
        moment, _ = after(network.ec2.attach_internet_gateway, **gateway)
        datagrams.expect_answers(moment, network.ipv6_of(instance))
        stream.expect_answers(moment)
    account.reset()


def test_a_detached_egress_only_gateway_forgets_its_connections(internet):
    account = internet.groundplane.account()
    network = Network(account)
    make = lambda: network.ec2.create_egress_only_internet_gateway(VpcId=network.vpc)["EgressOnlyInternetGateway"]
    gateway = make()["EgressOnlyInternetGatewayId"]
    subnet, table = network.subnet(1, ("::/0", gateway))
    instance = network.run(subnet, "10.0.1.10", ipv6=True)
    with loop(network.groundplane, instance, "udp", WEB6) as datagrams:
        moment, _ = after(network.ec2.delete_egress_only_internet_gateway, EgressOnlyInternetGatewayId=gateway)
        datagrams.expect_silence(moment)
        assert why(network.groundplane, instance, WEB6) == (False, "blackhole")
        other = make()["EgressOnlyInternetGatewayId"]
        moment, _ = after(network.ec2.replace_route, RouteTableId=table, **route("::/0", other))
        datagrams.expect_answers(moment, network.ipv6_of(instance))
    account.reset()
