"""A NAT gateway's address that is taken away drains: a running connection by it lives on, a new one has another address,
and it goes when nobody uses it any more or its time is over.

Source: EC2 API reference, "DisassociateNatGatewayAddress", "UnassignPrivateNatGatewayAddress" (MaxDrainDurationSeconds, 1
to 4000, 350 if not said).
"""

import contextlib
import itertools

import pytest
from botocore.exceptions import ClientError
from internet import WEB, Network, seen_by, why
from loops import after, loop
from test_packets import wait_for


@pytest.fixture(scope="module")
def world(internet):
    account = internet.groundplane.account()
    network = Network(account)
    network.nats, _ = network.subnet(1, ("0.0.0.0/0", network.igw))
    yield network
    account.reset()


class Gateway:
    """A gateway with two addresses and one port to each destination, and an instance behind it in a subnet of its own."""

    numbers = itertools.count(2)

    def __init__(self, world):
        number = next(self.numbers)
        self.world, self.ec2, self.groundplane = world, world.ec2, world.groundplane
        self.id, self.first = world.nat_gateway(world.nats)
        self.second, self.allocation = world.elastic()
        self.associate()
        # The next connection to a server has to have the other address.
        self.groundplane.command("dial", self.id, "ports=1")
        subnet, _ = world.subnet(number, ("0.0.0.0/0", self.id))
        self.instance = world.run(subnet, f"10.0.{number}.10")

    def associate(self):
        self.ec2.associate_nat_gateway_address(NatGatewayId=self.id, AllocationIds=[self.allocation])

    def addresses(self):
        """Public address -> what is being done with it."""
        shown = self.ec2.describe_nat_gateways(NatGatewayIds=[self.id])["NatGateways"][0]["NatGatewayAddresses"]
        return {address["PublicIp"]: address["Status"] for address in shown}

    def close(self):
        """Gives the addresses back: an account has five."""
        self.ec2.delete_nat_gateway(NatGatewayId=self.id)
        shown = lambda: self.ec2.describe_nat_gateways(NatGatewayIds=[self.id])["NatGateways"][0]["State"]
        assert wait_for(lambda: shown() == "deleted")
        for address in self.ec2.describe_addresses(PublicIps=[self.first, self.second])["Addresses"]:
            if "AssociationId" in address:
                self.ec2.disassociate_address(AssociationId=address["AssociationId"])
            self.ec2.release_address(AllocationId=address["AllocationId"])

    def association(self):
        return self.ec2.describe_addresses(AllocationIds=[self.allocation])["Addresses"][0].get("AssociationId")

    def drain(self, seconds=None):
        """When the call was answered."""
        limit = {} if seconds is None else {"MaxDrainDurationSeconds": seconds}
        moment, answer = after(
            self.ec2.disassociate_nat_gateway_address,
            NatGatewayId=self.id,
            AssociationIds=[self.association()],
            **limit,
        )
        assert [a["Status"] for a in answer["NatGatewayAddresses"]] == ["disassociating"]
        return moment

    @contextlib.contextmanager
    def streams(self):
        """Two streams to one server, by one address each: [first, second]."""
        with loop(self.groundplane, self.instance, "tcp", WEB) as one:
            with loop(self.groundplane, self.instance, "tcp", WEB) as other:
                by = lambda stream: next(iter(stream.answers.values()))
                assert {by(one), by(other)} == {self.first, self.second}
                yield [one, other] if by(one) == self.first else [other, one]


@pytest.fixture
def gateway(world):
    made = Gateway(world)
    yield made
    made.close()


def test_a_running_stream_lives_on_and_is_cut_when_the_time_is_over(world, gateway):
    with gateway.streams() as (kept, drained):
        moment = gateway.drain(8)
        assert gateway.addresses() == {gateway.first: "succeeded", gateway.second: "disassociating"}
        with pytest.raises(ClientError, match="Resource.AlreadyAssociated"):
            gateway.associate()
        assert why(gateway.groundplane, gateway.instance, WEB) == (False, "nat-port-exhausted")
        gateway.groundplane.command("dial", gateway.id, "ports=default")
        assert seen_by(gateway.groundplane, gateway.instance, WEB)[0] == gateway.first
        drained.expect_answers(moment, gateway.second)
        assert wait_for(lambda: gateway.addresses() == {gateway.first: "succeeded"}), "it is released"
        drained.thread.join(20)
        assert drained.errors == ["ConnectionResetError"]
        assert gateway.association() is None
        # The address is free for whoever wants it, and the other stream has noticed nothing.
        world.ec2.associate_address(AllocationId=gateway.allocation, InstanceId=gateway.instance)
        moment, _ = after(world.ec2.describe_vpcs)
        kept.expect_answers(moment, gateway.first)
        assert not kept.errors


def test_an_address_that_nobody_uses_goes_long_before_its_time(world, gateway):
    gateway.drain()
    assert wait_for(lambda: gateway.addresses() == {gateway.first: "succeeded"})
    gateway.associate()
    with gateway.streams() as (kept, drained):
        gateway.drain(4000)
        drained.process.kill()
        drained.thread.join(10)
        # A closed connection is kept for 10 s, for what may come late.
        assert wait_for(lambda: gateway.addresses() == {gateway.first: "succeeded"}, 40)
        assert gateway.association() is None
        moment, _ = after(world.ec2.describe_vpcs)
        kept.expect_answers(moment, gateway.first)


def test_a_deleted_gateway_takes_what_drains_along(world, gateway):
    with gateway.streams() as (kept, drained):
        gateway.drain(4000)
        moment, _ = after(world.ec2.delete_nat_gateway, NatGatewayId=gateway.id)
        kept.expect_silence(moment)
        drained.expect_silence(moment)
        assert gateway.association() is None


def test_kill_9_forgets_no_deadline_and_cuts_nothing_before_it(world, gateway):
    with gateway.streams() as (kept, drained):
        gateway.drain(15)
        gateway.groundplane.kill()
        gateway.groundplane.up()
        moment, _ = after(world.ec2.describe_vpcs)
        drained.expect_answers(moment, gateway.second)
        assert gateway.addresses()[gateway.second] == "disassociating"
        assert wait_for(lambda: gateway.addresses() == {gateway.first: "succeeded"}, 40)
        drained.thread.join(20)
        assert drained.errors == ["ConnectionResetError"]
        moment, _ = after(world.ec2.describe_vpcs)
        kept.expect_answers(moment, gateway.first)
