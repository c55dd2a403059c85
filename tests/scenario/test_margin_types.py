"""How an account counts the margin of both sides of a symbol: what is free for an open rests on it."""

from __future__ import annotations

import pytest

from cmam.domain.events import ChangeDecided
from cmam.domain.market.equity import used_margin
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.serving.world_file import load_world
from cmam.sandbox.trading import margin
from cmam.store.past.replay import verify
from tests.whole import SAME_BROKER, Whole
from tests.worlds import BUILT_IN

LOT = 10_000_000


@pytest.mark.parametrize(("kind", "verdict"), [("sum", "skip"), ("max", "copy"), ("net", "copy")])
def test_a_hedge_binds_margin_as_the_account_counts_it(kind: str, verdict: str) -> None:
    """Nine lots each way bind 18,000 of 25,000 where both sides count, and 9,000 where the larger one does: then six
    more are afforded, by the broker and by us."""
    text = BUILT_IN.read_text().replace(
        f"ctid = {SAME_BROKER:_}\n", f'ctid = {SAME_BROKER:_}\nmargin_type = "{kind}"\n'
    )
    whole = Whole(seed=3, settings={"volume.amount": "1"}, world=load_world(text))
    whole.start_ready()
    for side in (model.BUY, model.SELL):
        whole.person.buy(9 * LOT, side=side)
        whole.run(2)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert len(view.positions) == 2
    if kind != "net":  # whether what positions show is netted already is not known
        assert used_margin(view) == margin.used(whole.broker.floor.accounts[SAME_BROKER])
    whole.person.buy(6 * LOT)
    whole.run(2)
    assert whole.events(SAME_BROKER, ChangeDecided)[-1].verdict == verdict
    assert len(whole.person.holds(SAME_BROKER)) == (3 if verdict == "copy" else 2)
    assert verify(whole.log.read_all()).is_identical
