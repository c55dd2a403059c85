"""A copy that is opened once more has a line for each time: nothing of what it was is written over."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.switches import Switches
from cmam.store.auditing.audit import Audit
from cmam.store.auditing.explain import explain
from cmam.store.auditing.filters import Filters
from cmam.store.auditing.pack import export_pack
from cmam.store.auditing.pack_check import verify_pack
from cmam.store.auditing.totals import totals
from tests.whole import NETTED, SAME_BROKER, Whole

LOT = 10_000_000


def _prices(whole: Whole) -> list[Decimal]:
    """The prices of the follower's deals, in their order."""
    return [Decimal(deal.price).scaleb(-8) for deal in whole.broker.floor.accounts[SAME_BROKER].deals.values()]


def test_a_copy_that_is_opened_again_keeps_the_line_of_what_it_was() -> None:
    """A person closes a copy with `reopen` on: two lines, with the prices of both, and either position finds them."""
    whole = Whole(seed=7, settings={"reopen": "on"})
    whole.start_ready()
    whole.person.buy(LOT, label="mine")
    whole.run(2)
    (first,) = whole.person.holds(SAME_BROKER)
    whole.person.close(first.position, first.volume, account=SAME_BROKER)
    whole.run(5)
    (second,) = whole.person.holds(SAME_BROKER)
    audit = Audit.of(whole.log)
    then, now = audit.copies()
    assert then["copy_id"] == f"{now['copy_id']}/1"
    assert (then["follower_position"], now["follower_position"]) == (first.position, second.position)
    assert (then["state"], then["reason"], now["state"]) == ("closed", "closed_by_human", "open")
    told = [Decimal(price) for price in (then["open_price"], then["close_price"], now["open_price"])]
    assert told == _prices(whole)
    assert then["slippage_pips"] is not None
    assert then["label"] == "mine"
    assert [row["copy_id"] for row in audit.query("SELECT copy_id FROM slippage WHERE delay_pips IS NOT NULL")]
    (line,) = totals(audit, by=["all"])
    assert (line["copies"], line["closed"], line["open"]) == (2, 1, 1)
    assert len(list(audit.copies(Filters(verdict="copy")))) == 2
    story = next(explain(audit, str(first.position)))
    told = [one["what"] for one in story["timeline"] if one["what"].startswith("the copy is")]
    assert told == [
        f"the copy is open, 100000.00 at {then['open_price']}",
        "the copy is closed: closed_by_human",
        f"the copy is open, 100000.00 at {now['open_price']}",
    ]
    for name in (str(first.position), str(second.position), then["copy_id"]):
        assert {story["verdict"] for story in explain(audit, name)} == {"copy"}


def test_a_pack_of_what_a_copy_was_has_all_that_it_rested_on(tmp_path: Path) -> None:
    """Chosen by how its first life ended: its decisions and requests are those of the copy, whichever its life."""
    whole = Whole(seed=7, settings={"reopen": "on"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    (first,) = whole.person.holds(SAME_BROKER)
    whole.person.close(first.position, first.volume, account=SAME_BROKER)
    whole.run(5)
    audit = Audit.of(whole.log)
    made = export_pack(audit, tmp_path / "closed.pack", Filters(reason="closed_by_human"))
    assert (made.copies, made.decisions) == (2, len(list(audit.decisions())))
    lines = [json.loads(line) for line in (tmp_path / "closed.pack").read_text().splitlines()]
    assert "account.intent_recorded" in {line.get("topic") for line in lines}
    assert verify_pack(tmp_path / "closed.pack", audit.log.log_head()).is_whole


def test_a_turn_that_opens_nothing_leaves_what_was_closed() -> None:
    """A netted leader changes sides, and the new side is too small here: what the copy was stands with its prices."""
    switches = Switches(history_days=0, netted_reversal="same_position")
    whole = Whole(seed=7, leader=NETTED, settings={"volume.amount": "0.1"}, switches=switches)
    whole.start_ready()
    whole.person.buy(LOT, account=NETTED, symbol=7001)
    whole.run(2)
    whole.person.buy(LOT + 500_000, account=NETTED, symbol=7001, side=model.SELL)
    whole.run(5)
    assert whole.person.holds(SAME_BROKER) == []
    then, now = Audit.of(whole.log).copies()
    assert (then["side"], then["state"], then["volume"]) == ("buy", "closed", "10000.00")
    assert [Decimal(then["open_price"]), Decimal(then["close_price"])] == _prices(whole)
    assert (now["side"], now["state"], now["volume"]) == ("sell", "cancelled", "0.00")
