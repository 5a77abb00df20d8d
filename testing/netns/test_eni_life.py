"""Many ENIs that come and go leave nothing behind; addresses that move reach their new owner and nobody else."""

import os
import sys
from pathlib import Path

import pytest
from conftest import permission

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
