"""One leader for each symbol of a netted account: a command that would give it two is refused.

As far as is known when it is given: which account nets is known once its broker has said so, and a symbol of another
broker goes by its name. What is only seen later meets the gate `netted_taken`, where the first order has the symbol.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from cmam.domain.events import Event, ProfileState
from cmam.domain.market.listed import plain_name
from cmam.domain.market.mapping import spellings
from cmam.domain.operating.asking import Context, Refusal
from cmam.domain.operating.registry import PROFILE_PREFIX, Registry, evolve_registry
from cmam.domain.profiles.choices import MappingMode
from cmam.domain.profiles.link import Link, ProfileView
from cmam.domain.profiles.policy import Policy, policy_of
from cmam.domain.values.ids import AccountId, LinkId
from cmam.domain.values.trades import AccountType

_Pair = tuple[LinkId, LinkId]


@dataclass(frozen=True, slots=True)
class _Claim:
    """The symbols of its follower that a link may trade: those named, or all but those left out."""

    profile: ProfileView
    link: Link
    named: frozenset[str] | None
    left_out: frozenset[str]


def check_nets(context: Context, events: Iterable[tuple[str, Event]]) -> None:
    """Refuse events after which a netted account would have two leaders in one symbol; two that it has may stay."""
    of_profiles = [(stream, event) for stream, event in events if stream.startswith(PROFILE_PREFIX)]
    if not of_profiles:
        return
    after = context.registry
    for stream, event in of_profiles:
        after = evolve_registry(after, stream, event)
    fresh = _shared(context, after)
    if not fresh:
        return
    known = _shared(context, context.registry)
    for pair, (one, other, symbols) in fresh.items():
        if pair not in known:
            raise Refusal(_sentence(after, one, other, symbols))


def _shared(context: Context, registry: Registry) -> dict[_Pair, tuple[_Claim, _Claim, tuple[str, ...]]]:
    """The links of different leaders that share a symbol of a netted account, and which; no symbol means any."""
    found = {}
    for claims in _claims(context, registry).values():
        for one, other in combinations(claims, 2):
            if one.profile.leader == other.profile.leader:
                continue
            symbols = _common(one, other)
            if symbols is not None:
                found[(one.link.link, other.link.link)] = (one, other, symbols)
    return found


def _claims(context: Context, registry: Registry) -> Mapping[AccountId, list[_Claim]]:
    """What each netted account is to trade for whom: of accounts with two leaders at least."""
    links: dict[AccountId, list[tuple[ProfileView, Link]]] = {}
    for profile in registry.live_profiles():
        if profile.state is not ProfileState.STOPPED:
            for link in profile.links.values():
                links.setdefault(link.follower, []).append((profile, link))
    return {
        follower: [_claim(profile, link) for profile, link in found]
        for follower, found in links.items()
        if len({profile.leader for profile, _ in found}) > 1 and _is_netted(context, registry, follower)
    }


def _is_netted(context: Context, registry: Registry, account: AccountId) -> bool:
    view = context.views.get(account)
    if view is not None and view.trader is not None:
        return view.is_netted()
    known = registry.accounts.get(account)
    return known is not None and known.account_type == AccountType.NETTED


def _claim(profile: ProfileView, link: Link) -> _Claim:
    policy = policy_of({**profile.settings, **link.settings})
    named: Iterable[str] | None = policy.symbols_include or None
    if policy.symbols_mapping is MappingMode.FILE:
        named = [row.leader_symbol for row in policy.symbols_table if policy.takes(row.leader_symbol)]
    return _Claim(
        profile,
        link,
        None if named is None else frozenset(_of_follower(policy, named)),
        frozenset(_of_follower(policy, policy.symbols_exclude)),
    )


def _of_follower(policy: Policy, symbols: Iterable[str]) -> Iterator[str]:
    for symbol in symbols:
        row = policy.row(symbol)
        yield plain_name(row.follower_symbol if row is not None and row.follower_symbol else symbol)


def _common(one: _Claim, other: _Claim) -> tuple[str, ...] | None:
    """The symbols that both may trade; empty where that may be any, None where there is none."""
    if one.named is None and other.named is None:
        return ()
    if one.named is not None and other.named is not None:
        shared = [name for name in one.named if _is_among(name, other.named)]
    else:
        few, rest = (one, other) if one.named is not None else (other, one)
        shared = [name for name in few.named or () if not _is_among(name, rest.left_out)]
    return tuple(sorted(shared)) or None


def _is_among(name: str, names: Iterable[str]) -> bool:
    found = spellings(name)
    return any(other in found or name in spellings(other) for other in names)


def _sentence(registry: Registry, one: _Claim, other: _Claim, symbols: tuple[str, ...]) -> str:
    def shown(account: AccountId | None) -> str:
        known = registry.accounts.get(account) if account is not None else None
        return known.shown if known is not None else str(account)

    which = ", ".join(symbols) if symbols else "whatever both of them trade"
    return (
        f"the netted account {shown(one.link.follower)} can follow one leader in each symbol, and for {which} it would"
        f" have {shown(one.profile.leader)} (profile {one.profile.name}) and {shown(other.profile.leader)}"
        f" (profile {other.profile.name}): divide the symbols with symbols.include or symbols.exclude, or disable one"
        " of the two"
    )
