"""What must hold of a small world whatever happened: of each moment, and once all is over and was looked at again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from fractions import Fraction
from itertools import product

from cmam.domain.belief.copies import Copy, CopyKey
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, PositionId, order_source, position_source
from cmam.domain.values.reasons import Reason
from tests.small.hands import PERSONS_STOP, Hand, share_left
from tests.small.world import Act, World, change_key, held_before, links_of, stop_of

OPENS = (CommandKind.OPEN, CommandKind.ADD)
STEP = 100_000


def broken(world: World) -> str:
    """What is wrong at any moment, in words; empty where nothing is."""
    twice = [intent for intent, times in Counter(world.books.done).items() if times > 1]
    if twice:
        intents = {asked.intent: asked for asked, _ in world.asked}
        if any(intents[one].command.kind.adds_risk or not intents[one].command.whole for one in twice):
            return f"carried out twice: {twice}"
    return ""


def wrong_at_end(world: World) -> str:
    """What is wrong once all is over."""
    if world.view.intents:
        return f"still without an outcome: {list(world.view.intents)}"
    if any(act.order for act in world.setting.acts):
        return _wrong_of_orders(world)
    if world.setting.netted:
        return _wrong_net(world)
    for key, wanted in _wanted(world).items():
        held = sum(
            int(held.volume)
            for held in world.books.positions.values()
            if held.label and held.label.endswith(f"{key[0]}.{key[1]}")
        )
        if not _is_about(held, wanted):
            return f"{key}: {held} is held, {_words(wanted)} is right"
        copy = world.view.copies.get(key)
        believed = int(copy.volume) if copy is not None else 0
        if believed != held:
            return f"{key}: {believed} is believed, {held} is held"
        if copy is not None and (text := _wrong_stop(world, copy)):
            return f"{key}: {text}"
    return ""


def _wrong_of_orders(world: World) -> str:
    """Where the leader has an order that rests: never more than he has, all of it where nothing went wrong, and an
    order where he has one, as his is."""
    acts, copies = world.setting.acts, world.view.copies.values()
    held = sum(one.volume * one.side.sign for one in world.books.positions.values())
    believed = sum(copy.volume * copy.side.sign for copy in copies)
    if believed != held:
        return f"{believed} is believed, {held} is held"
    is_given_up = any(copy.reason is Reason.AHEAD for copy in world.view.finished.values())
    is_plain = world.faults == world.setting.faults and not world.touches and not is_given_up
    leader = held_before(acts, len(acts))
    for position, side in {act.position: act.side for act in acts}.items():
        orders = {order_source(OrderId(act.order)) for act in acts if act.order and act.position == position}
        sources = {position_source(PositionId(position)), *orders}
        share = sum(copy.volume * copy.side.sign for copy in copies if copy.source in sources) * side.sign
        right = leader.get(position, 0) * len(world.setting.amounts)
        if not (right if is_plain else 0) <= share < max(1, right + STEP * (right > 0)):
            return f"{share} is held of {position}, {right} is right"
    rests = _leader_rests(acts)
    resting = [(int(order.volume - order.executed_volume), order.limit_price) for order in world.books.resting.values()]
    right = [rests] * len(world.setting.amounts) if rests is not None else []
    if resting != right and (is_plain or len(resting) > len(right)):
        return f"there rests {resting}, {right} is right"
    return ""


def _leader_rests(acts: tuple[Act, ...]) -> tuple[int, int] | None:
    """How much of the leader's order rests in the end, and at which price."""
    left: tuple[int, int] | None = None
    filled = 0
    for act in acts:
        match act.what:
            case ChangeKind.ORDER_PLACED | ChangeKind.ORDER_AMENDED:
                left = act.volume - filled, act.limit
            case ChangeKind.ORDER_CANCELLED | ChangeKind.ORDER_EXPIRED:
                left = None
            case _ if act.order and left is not None:
                filled += act.volume
                left = (left[0] - act.volume, left[1]) if left[0] > act.volume else None
    return left


def _wrong_stop(world: World, copy: Copy) -> str:
    if any(touch.hand is Hand.STOP for touch in world.touches):
        return _wrong_stop_by_hand(world, copy)
    held = world.books.positions.get(copy.position) if copy.position is not None else None
    right = stop_of(world.setting.acts, int(copy.leader_position or 0))
    if held is None or held.stop == right:
        return ""
    return f"its stop is {held.stop}, {right} is right"


def _wrong_stop_by_hand(world: World, copy: Copy) -> str:
    """A person's stop stays, unless one of ours was under way beside it, or was asked for without knowing of it."""
    held = world.books.positions.get(copy.position) if copy.position is not None else None
    touch = next(touch for touch in world.touches if touch.hand is Hand.STOP)
    since = world.setting.acts[touch.acts :]
    is_unknown = not touch.is_told and any(act.what is ChangeKind.PROTECTED for act in since)
    if held is None or held.stop == PERSONS_STOP or touch.beside or is_unknown:
        return ""
    return f"its stop is {held.stop}, a person had set {PERSONS_STOP}"


def _wrong_net(world: World) -> str:
    wanted = _wanted(world)
    has_sides = len({act.side for act in world.setting.acts}) > 1
    if has_sides and any(touch.beside or not touch.is_told for touch in world.touches):
        return ""  # where an order turns the net meanwhile this is not told from what a person adds (0167)
    nets = {sum(parts) for parts in product(*wanted.values())}
    net = sum(held.volume * held.side.sign for held in world.books.positions.values())
    if not _is_about(net, nets):
        return f"the net is {net}, {_words(nets)} is right"
    ledger = sum(copy.volume * copy.side.sign for copy in world.view.copies.values())
    if ledger != net:
        return f"the shares come to {ledger}, the net is {net}"
    for key, right in wanted.items():
        copy = world.view.copies.get(key)
        share = int(copy.volume) * copy.side.sign if copy is not None else 0
        lent = STEP if share > 0 else -STEP  # what shares have too much together may be closed of one of them
        if not _is_about(share, right) and not (len(wanted) > 1 and _is_about(share + lent, right)):
            return f"{key}: its share is {share}, {_words(right)} is right"
        if copy is not None and _is_of_one_stop(world, wanted) and (text := _wrong_stop(world, copy)):
            return f"{key}: {text}"
    return ""


def _is_of_one_stop(world: World, wanted: Mapping[CopyKey, object]) -> bool:
    """Whether all shares of a net have the same stop: they are of one source, and were there as a person set one."""
    touched = (set(touch.labels) for touch in world.touches if touch.hand is Hand.STOP)
    are_there = all(labels == {f"{link}.{source}" for link, source in wanted} for labels in touched)
    return len({source for _, source in wanted}) == 1 and are_there


def _wanted(world: World) -> dict[CopyKey, set[Fraction]]:
    """What each copy may hold in the end, signed on a net: between what the leader has, and what is left of it without
    his adds that the broker did nothing of. All that he does besides is a part of what a copy has."""
    acts = world.setting.acts
    found: dict[CopyKey, set[Fraction]] = {}
    for link, settings in links_of(world.setting).items():
        for position in sorted({act.position for act in acts}):
            source = position_source(PositionId(position))
            carried_out = {
                intent.change
                for intent, _ in world.asked
                if (intent.link, intent.source) == (link, source)
                and intent.command.kind in OPENS
                and intent.intent in world.books.done
            }
            side = next(act.side for act in acts if act.position == position)
            each = Fraction(settings.settings["volume.amount"]) * (side.sign if world.setting.netted else 1)
            opened = {number for number in range(len(acts)) if change_key(number + 1) in carried_out}
            least, most = share_left(world.touches, f"{link}.{source}")
            if world.touches and len({act.side for act in acts}) > 1:
                least, most = Fraction(0), Fraction(1)  # whose it is depends on what the net was at that moment
            all_of_them = frozenset(range(len(acts)))
            found[(link, source)] = {
                _followed(acts, position, opened) * each * least,
                _followed(acts, position, all_of_them) * each * most,
            }
    return found


def _followed(acts: tuple[Act, ...], position: int, done: Set[int]) -> Fraction:
    """What who followed the leader's acts in proportion has of one of his positions, where of his opens and adds only
    those with these numbers were done."""
    held = Fraction(0)
    for number, act in enumerate(acts):
        if act.position != position:
            continue
        had = held_before(acts, number).get(position, 0)
        if act.what is ChangeKind.OPENED and number in done:
            held = Fraction(act.volume)
        elif act.what is ChangeKind.GREW and number in done:
            held *= Fraction(had + act.volume, had)
        elif act.what is ChangeKind.REDUCED:
            held *= Fraction(had - act.volume, had)
        elif act.what is ChangeKind.CLOSED:
            held = Fraction(0)
    return held


def _is_about(held: int, right: Iterable[Fraction]) -> bool:
    """Whether it is that, or between that and what the leader has, where something asked for came to nothing; what is
    less than a step above it is kept, for whole steps alone can be closed."""
    amounts = [abs(one) for one in right]
    is_its_side = held == 0 or any(one * held > 0 for one in right)
    return is_its_side and min(amounts) <= abs(held) < max(amounts) + STEP


def _words(right: Iterable[Fraction]) -> str:
    return " or ".join(str(round(float(one))) for one in sorted(right))
