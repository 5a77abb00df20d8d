"""Two VPCs with the same block talk by private NAT gateways and a router between them.

Source: VPC user guide, "Private NAT gateways: enable communication between overlapping networks": each VPC has a second block
that the other one knows, and a private NAT gateway in it. Here the way between the two is an instance with an ENI in each.
"""

import pytest
from conftest import REGION
from internet import Network, capture, guest_python, route, why
from test_packets import wait_for
from test_ways_appliance import FORWARD, TELLER, TOLD


class Side:
    """A VPC with 10.0.0.0/16: a client in 10.0.1.0/24, a NAT gateway and a server in the block that the other side knows."""

    def __init__(self, account, number):
        self.network = Network(account)
        self.ec2 = self.network.ec2
        self.known = f"100.64.{number}"
        self.ec2.associate_vpc_cidr_block(VpcId=self.network.vpc, CidrBlock=f"{self.known}.0/24")
        made = self.ec2.create_subnet(
            VpcId=self.network.vpc, CidrBlock=f"{self.known}.0/24", AvailabilityZone=REGION + "a"
        )
        self.subnet = made["Subnet"]["SubnetId"]
        self.table = self.ec2.create_route_table(VpcId=self.network.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=self.table, SubnetId=self.subnet)
        made = self.ec2.create_nat_gateway(
            SubnetId=self.subnet, ConnectivityType="private", PrivateIpAddress=f"{self.known}.9"
        )
        self.nat = made["NatGateway"]["NatGatewayId"]
        state = lambda: self.ec2.describe_nat_gateways(NatGatewayIds=[self.nat])["NatGateways"][0]["State"]
        assert wait_for(lambda: state() == "available")
        inner, self.inner_table = self.network.subnet(1, ipv6=False)
        self.client = self.network.run(inner, "10.0.1.10")
        self.server = self.network.run(self.subnet, f"{self.known}.10", user_data=TELLER)

    def lead_to(self, other, eni):
        """The client's packets go through the gateway, and the gateway's and the server's to the router."""
        self.ec2.create_route(RouteTableId=self.inner_table, **route(f"{other.known}.0/24", self.nat))
        self.ec2.create_route(RouteTableId=self.table, **route(f"{other.known}.0/24", eni))


@pytest.fixture(scope="module")
def sides(internet):
    account = internet.groundplane.account()
    left, right = Side(account, 1), Side(account, 2)
    router = left.network.run(left.subnet, "100.64.1.5", user_data=FORWARD)
    near = left.network.router(router)
    far = left.ec2.create_network_interface(
        SubnetId=right.subnet, PrivateIpAddress="100.64.2.5", Groups=[right.network.open]
    )["NetworkInterface"]["NetworkInterfaceId"]
    left.ec2.modify_network_interface_attribute(NetworkInterfaceId=far, SourceDestCheck={"Value": False})
    left.ec2.attach_network_interface(NetworkInterfaceId=far, InstanceId=router, DeviceIndex=1)
    left.lead_to(right, near)
    right.lead_to(left, far)
    yield left, right, router
    account.reset()


def _told(side, address):
    said = guest_python(side.network.groundplane, side.client, TOLD, address, 2, check=False)
    return said and said.split()


def test_clients_of_overlapping_vpcs_reach_the_other_side_s_servers(sides):
    left, right, _ = sides
    for here, there in ((left, right), (right, left)):
        assert wait_for(lambda: _told(here, f"{there.known}.10")), why(
            here.network.groundplane, here.client, f"{there.known}.10", "tcp/7000"
        )
        # The server sees the gateway, and never an address that it could have itself.
        assert _told(here, f"{there.known}.10") == [f"{here.known}.9", f"{there.known}.10"]


def test_the_router_between_them_sees_only_addresses_that_both_know(sides):
    left, _, router = sides
    with capture(left.network.groundplane, router) as between:
        assert wait_for(lambda: _told(left, "100.64.2.10"))
        assert between.find(src="100.64.1.9", dst="100.64.2.10")
        assert between.find(src="100.64.2.10", dst="100.64.1.9")
        assert {"10.0.1.10"}.isdisjoint(end for packet in between.packets for end in (packet["src"], packet["dst"]))
