"""Whose an order is that comes back without its name, and what is so like a request that it may be that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import Copy, CopyState, Intent, IntentState
from cmam.domain.belief.nameless import CLOCKS_MS, has_grown, lacks_name, like_another, named, told_by_name
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import ExecutionSeen, Goal
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import (
    AccountId,
    DealId,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    ProfileId,
    SourceKey,
    SymbolId,
)
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.trades import Deal, ExecutionKind, Order, OrderStatus, OrderType, Position

LABEL = "cm1.s.link.p1"
AT_MS = 1_000_000_500
VOLUME = Volume(100_000)


def _asked(kind: CommandKind = CommandKind.OPEN, **changes: object) -> Intent:
    order_type = OrderType.LIMIT if kind is CommandKind.PLACE else OrderType.MARKET
    command = Command(kind=kind, symbol=SymbolId(1), side=Side.BUY, volume=VOLUME, order_type=order_type, label=LABEL)
    intent = Intent(
        intent=IntentId(f"{LABEL}.2"),
        link=LinkId("link"),
        source=SourceKey("p1"),
        seq=2,
        command=command,
        volume_before=Volume(0),
        attempt=1,
        recorded_us=AT_MS * 1_000,
    )
    return replace(intent, **changes)


ASKED = _asked()
PLACED = _asked(CommandKind.PLACE)
VIEW = AccountView(account=AccountId(2), intents={ASKED.intent: ASKED})
ORDER = Order(
    order=OrderId(7), symbol=SymbolId(1), side=Side.BUY, type=OrderType.MARKET, volume=VOLUME, label=LABEL,
    opened_ms=AT_MS, updated_ms=AT_MS,
)  # fmt: skip
HELD = Position(position=PositionId(7), symbol=SymbolId(1), side=Side.BUY, volume=VOLUME, opened_ms=AT_MS)
DEAL = Deal(
    deal=DealId(5), order=OrderId(7), position=PositionId(7), symbol=SymbolId(1), side=Side.BUY, volume=VOLUME,
    filled_volume=VOLUME, price=Price(1), executed_ms=AT_MS,
)  # fmt: skip
RESTS = replace(ORDER, type=OrderType.LIMIT, label="")
COPY = Copy(
    link=LinkId("link"), profile=ProfileId("profile"), source=SourceKey("p9"), state=CopyState.OPEN,
    leader=AccountId(1), leader_position=PositionId(9), leader_order=None, leader_symbol="EURUSD", leader_digits=5,
    symbol=SymbolId(1), side=Side.BUY, goal=Goal(target_numerator=VOLUME, leader_volume=VOLUME), decided_us=1,
)  # fmt: skip


def _name_of(order: Order, view: AccountView = VIEW) -> str:
    return named(view, (order,), 0)[0].client_order_id


@pytest.mark.parametrize("name", ["", "cm1.s.link", f"{LABEL}.2".upper(), "srv-7", "cm1.s.link.p12.2"])
def test_an_order_with_no_name_of_ours_is_that_of_its_label_and_terms(name: str) -> None:
    """Cut, in capitals or of another's making, it had a name that was nobody's, and counted as absent."""
    assert _name_of(replace(ORDER, client_order_id=name)) == ASKED.intent
    for other in (
        replace(ORDER, label=""),
        replace(ORDER, volume=Volume(1)),
        replace(ORDER, closing=True),
        replace(ORDER, opened_ms=AT_MS - 1_001),
    ):
        assert _name_of(replace(other, client_order_id=name)) == name


def test_an_order_with_a_name_of_ours_keeps_it() -> None:
    """It is of a request of before; and a person's own names are his."""
    for order in (replace(ORDER, client_order_id=f"{LABEL}.1"), replace(ORDER, label="", client_order_id="cm1.s.l.p1")):
        assert _name_of(order) == order.client_order_id


def test_a_number_that_an_event_has_told_says_whose_an_order_is() -> None:
    """Whatever its label and its name have become."""
    view = replace(VIEW, intents={ASKED.intent: replace(ASKED, order=OrderId(7))})
    assert _name_of(replace(ORDER, label="", client_order_id="CM1"), view) == ASKED.intent
    assert _name_of(replace(ORDER, order=OrderId(8), client_order_id="CM1"), view) == "CM1"


def test_a_request_without_a_label_is_known_by_its_number_alone() -> None:
    """A share is closed by an order without one: a person's that asks for as much is his."""
    bare = replace(ASKED, command=replace(ASKED.command, label=""))
    view = replace(VIEW, intents={bare.intent: bare})
    assert _name_of(replace(ORDER, label=""), view) == ""
    view = replace(VIEW, intents={bare.intent: replace(bare, order=OrderId(7))})
    assert _name_of(replace(ORDER, label=""), view) == bare.intent


@pytest.mark.parametrize(("after_ms", "is_ours"), [(0, True), (AT_MS, False), (AT_MS - 500, True)])
def test_of_one_moment_only_a_whole_second_may_be_later(after_ms: int, is_ours: bool) -> None:
    """A clock that counts no finer tells the same time of what came after. What has executed nothing is in nothing that
    was known."""
    at_ms = AT_MS - 500 if after_ms == AT_MS - 500 else AT_MS
    view = replace(VIEW, intents={ASKED.intent: replace(ASKED, after_ms=after_ms)})
    done = replace(ORDER, opened_ms=at_ms, status=OrderStatus.FILLED, executed_volume=ORDER.volume)
    assert (_name_of(done, view) == ASKED.intent) is is_ours
    assert _name_of(replace(ORDER, opened_ms=at_ms), view) == ASKED.intent


def test_what_is_held_is_like_an_open_where_nothing_tells_them_apart() -> None:
    """No label of a copy's, no copy's number, all that was asked for, and not from long before."""
    before_ms = AT_MS - CLOCKS_MS
    for held, is_like in (
        (HELD, True),
        (replace(HELD, label="by hand"), True),
        (replace(HELD, label=LABEL), False),
        (replace(HELD, opened_ms=before_ms), True),
        (replace(HELD, opened_ms=before_ms - 1), False),
        (replace(HELD, opened_ms=0, updated_ms=before_ms - 1), False),
        (replace(HELD, opened_ms=0), True),
        (replace(HELD, side=Side.SELL), False),
        (replace(HELD, volume=Volume(1)), False),
    ):
        view = replace(VIEW, positions={held.position: held})
        assert like_another(view, ASKED) == (f"position {held.position}" if is_like else "")
        assert not like_another(view, PLACED)
        assert not like_another(put(view, replace(COPY, position=held.position)), ASKED)


def test_what_rests_is_like_an_order_to_place_where_nothing_tells_them_apart() -> None:
    """As of what is held; an open is like no order that rests."""
    before_ms = AT_MS - CLOCKS_MS
    for rests, is_like in (
        (RESTS, True),
        (replace(RESTS, label=LABEL), False),
        (replace(RESTS, opened_ms=before_ms), True),
        (replace(RESTS, opened_ms=before_ms - 1), False),
        (replace(RESTS, opened_ms=0, updated_ms=before_ms - 1), False),
        (replace(RESTS, type=OrderType.STOP), False),
        (replace(RESTS, volume=Volume(1)), False),
    ):
        view = replace(VIEW, orders={rests.order: rests})
        assert like_another(view, PLACED) == (f"order {rests.order}" if is_like else "")
        assert not like_another(view, ASKED)
        assert not like_another(put(view, replace(COPY, order=rests.order)), PLACED)


def _told(kind: ExecutionKind = ExecutionKind.ORDER_FILLED, *, executed: int = VOLUME) -> ExecutionSeen:
    """A word of the order that fills, without any name: with its deal, but where it only says that it was accepted."""
    is_fill = kind is ExecutionKind.ORDER_FILLED
    status = OrderStatus.FILLED if is_fill else OrderStatus.ACCEPTED
    order = replace(ORDER, status=status, executed_volume=Volume(executed))
    return ExecutionSeen(kind=kind, order=order, position=HELD, deal=DEAL if is_fill else None)


def _sent(**changes: object) -> AccountView:
    return replace(VIEW, intents={ASKED.intent: _asked(state=IntentState.SENT, **changes)})


def _name_told(view: AccountView, fact: ExecutionSeen) -> str:
    """The name an execution has once it is read."""
    read = told_by_name(view, fact, 0) if lacks_name(view, fact) else fact
    assert read.order is not None
    return read.order.client_order_id


def test_a_fill_is_that_of_the_request_that_has_left() -> None:
    """By its label and terms; what has not left can have no order, but it was taken for that of a fill told again."""
    assert _name_told(_sent(), _told()) == ASKED.intent
    assert _name_told(VIEW, _told()) == ""


def test_a_deal_that_is_known_is_of_a_request_before() -> None:
    """Told again, the fill of one part confirmed the next, which had not come back yet, and that was asked for anew."""
    assert _name_told(replace(_sent(), deals=(DEAL.deal,)), _told()) == ""


def test_that_an_order_was_accepted_which_has_filled_is_of_a_request_before() -> None:
    """Told behind its fill it gave the next part a number that was not its own."""
    assert _name_told(_sent(), _told(ExecutionKind.ORDER_ACCEPTED)) == ""
    assert _name_told(_sent(), _told(ExecutionKind.ORDER_ACCEPTED, executed=0)) == ASKED.intent


def test_a_new_deal_is_news_in_the_millisecond_of_what_is_known() -> None:
    """A part that was asked for in the millisecond in which the one before had filled counted as absent: it was sold
    again. In a history nothing tells it from that one."""
    view = _sent(after_ms=AT_MS)
    assert _name_told(view, _told()) == ASKED.intent
    assert _name_of(replace(ORDER, status=OrderStatus.FILLED, executed_volume=VOLUME), view) == ""


@pytest.mark.parametrize("kind", [CommandKind.OPEN, CommandKind.PLACE])
def test_nothing_is_older_than_the_first_request_of_its_label(kind: CommandKind) -> None:
    """By a clock that is 4 s behind ours its own order was: it counted as absent, and was sent once more."""
    first = _asked(kind, seq=1)
    behind = replace(ORDER, type=first.command.order_type, opened_ms=AT_MS - 4_000, updated_ms=AT_MS - 4_000)
    view = AccountView(account=AccountId(2), intents={first.intent: first})
    assert _name_of(behind, view) == first.intent
    later = replace(first, seq=2)
    assert _name_of(behind, replace(view, intents={later.intent: later})) == ""
    again = replace(first, attempt=2)
    view = replace(view, intents={again.intent: again})
    assert _name_of(behind, view) == ""
    assert _name_of(replace(behind, executed_volume=VOLUME), view) == first.intent


def test_a_position_that_has_grown_by_all_that_was_asked_shows_an_add() -> None:
    """One of a copy's own, which nothing else of ours may have made grow."""
    command = replace(ASKED.command, kind=CommandKind.ADD, position=PositionId(7))
    add = _asked(command=command, volume_before=VOLUME)
    other = replace(add, intent=IntentId(f"{LABEL}.3"))
    elsewhere = replace(other, command=replace(command, position=PositionId(8)))
    grown = replace(HELD, volume=Volume(2 * VOLUME))

    def shows(held: Position = grown, copy: Copy | None = COPY, *others: Intent) -> bool:
        intents = {one.intent: one for one in (add, *others)}
        positions = {held.position: held}
        return has_grown(AccountView(account=AccountId(2), intents=intents, positions=positions), copy, add)

    assert shows()
    assert shows(replace(grown, volume=Volume(2 * VOLUME + 1)))
    assert not shows(replace(grown, volume=Volume(2 * VOLUME - 1)))
    assert not shows(replace(grown, side=Side.SELL))
    assert not shows(replace(grown, position=PositionId(8)))
    assert not shows(grown, None)
    assert not shows(grown, replace(COPY, share=True))
    assert not shows(grown, COPY, other)
    assert shows(grown, COPY, elsewhere)


def test_an_order_that_was_told_with_its_name_once_is_of_no_other_request() -> None:
    """The fill of an add, told again without its name or deal within the second, was taken for that of the next one:
    each add after it counted as the one before, and the last as absent."""
    former = IntentId(f"{LABEL}.1")
    names = {ORDER.order: former}
    again = ExecutionSeen(kind=ExecutionKind.OTHER, order=ORDER)
    view = replace(VIEW, intents={ASKED.intent: replace(ASKED, state=IntentState.SENT)})
    told = told_by_name(view, again, 0).order
    assert told is not None
    assert told.client_order_id == ASKED.intent
    told = told_by_name(view, again, 0, names).order
    assert told is not None
    assert told.client_order_id == former
    other = replace(ORDER, order=OrderId(8))
    assert [one.client_order_id for one in named(VIEW, (ORDER, other), 0, names)] == [former, ASKED.intent]
    closes = replace(ORDER, closing=True)
    assert named(VIEW, (closes,), 0, names) == (closes,)
