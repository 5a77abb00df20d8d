"""Many ENIs that come and go leave nothing behind; addresses that move reach their new owner and nobody else."""

import itertools
import os
import random
import sys
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from conftest import permission
from test_eni_live import attach, new_eni
from test_packets import wait_for

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import churn  # noqa: E402
import failover  # noqa: E402

MOVES = int(os.environ.get("FAILOVER_MOVES", "20"))
ENIS = int(os.environ.get("CHURN_ENIS", "1000"))


@pytest.mark.parametrize("way", ["by_reassignment", "by_attachment"])
def test_a_moving_address_never_sticks_and_its_old_owner_hears_nothing_more(account, way):
    stage = failover.Stage(account, permission)
    moves = failover.run(stage, getattr(stage, way)(), MOVES)
    assert len(moves) == MOVES
    assert [move.strays for move in moves] == [[]] * MOVES
    assert all(move.outage_ns is not None for move in moves), "the new owner never answered"


@pytest.mark.timeout(600)
def test_a_thousand_enis_leave_nothing_behind(own_groundplane):
    account = own_groundplane.account()
    churn.run(account, permission, 20)
    before = churn.footprint(own_groundplane)
    churn.run(own_groundplane.account(), permission, ENIS)
    after = churn.footprint(own_groundplane)
    # The second run has an instance of its own, with one ENI.
    assert after["ENIs"] == before["ENIs"] + 1
    assert after["open files"] <= before["open files"] + 8
    # Allocators keep what they once had; a leak of each ENI's own would be many times this.
    assert after["memory KiB"] <= before["memory KiB"] + 20 * ENIS


def test_a_kill_in_the_middle_of_moves_leaves_no_interface_and_no_rule_behind(own_groundplane):
    account = own_groundplane.account()
    _, subnet = account.network()
    vpc = account.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    group = account.group(vpc, "all", permission("-1", cidr="10.0.0.0/16"))
    owners = [account.run(subnet, [group], f"10.0.1.{n}") for n in (10, 11)]
    eni, _ = new_eni(account, subnet, group, "10.0.1.77", SecondaryPrivateIpAddressCount=2)

    def attachment():
        described = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]
        return described.get("Attachment")

    def move_until_killed():
        try:
            for turn in itertools.count():
                if held := attachment():
                    account.ec2.detach_network_interface(AttachmentId=held["AttachmentId"], Force=True)
                attach(account, eni, owners[turn % 2])
        except (BotoCoreError, ClientError):
            pass

    def is_as_described():
        holder = (attachment() or {}).get("InstanceId")
        inside = lambda i, *command: own_groundplane.exec(i, "ip", *command).stdout  # noqa: E731
        return all(
            ("eth1" in inside(i, "link")) == (i == holder) and ("10001" in inside(i, "rule")) == (i == holder)
            for i in owners
        )

    for _ in range(3):
        mover = threading.Thread(target=move_until_killed)
        mover.start()
        time.sleep(random.uniform(0.2, 0.4))
        # As if it had been killed between an interface's end and its rules'.
        own_groundplane.exec(owners[0], "ip", "rule", "add", "from", "10.0.1.99", "lookup", "10005", "priority", "10005")
        own_groundplane.kill()
        mover.join()
        own_groundplane.up()
        assert wait_for(is_as_described)
        assert "10005" not in own_groundplane.exec(owners[0], "ip", "rule").stdout
