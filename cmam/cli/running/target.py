"""What a command is to act upon: a profile, an account or all, and the live copies that this means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.verbs import face

if TYPE_CHECKING:
    from cmam.domain.belief.copies import Copy
    from cmam.domain.belief.view import AccountView
    from cmam.domain.repair.leftover import Left


ROWS_SHOWN_MAX = 40
"""So many copies are listed before something is done to them."""


def one_target(profile: str | None, account: str | None, everything: bool) -> dict[str, Any]:
    """The one target that was named; none is a usage error, since guessing could close the wrong thing."""
    named = [name for name in (profile, account, "all" if everything else None) if name]
    if len(named) != 1:
        raise click.UsageError("say which: PROFILE, --account ID or --all (only one).")
    return {"profile": profile or None, "account": account, "all": everything}


def live_rows(target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The live copies of a target by the log: of a profile, an account, or all, those of deleted profiles too."""
    from cmam import office
    from cmam.domain.operating.asking import find_account, find_profile

    folded = office.read_fold(face().home)
    registry = folded.registry
    names = {link: profile.name for profile in registry.live_profiles() for link in profile.links}
    links = None if (profile := target.get("profile")) is None else set(find_profile(registry, str(profile)).links)
    only = find_account(registry, str(target["account"])).account if target.get("account") else None
    return [
        {
            "profile": names.get(copy.link, "deleted"),
            "follower": int(account),
            "follower_name": registry.accounts[account].shown if account in registry.accounts else str(account),
            **_row(view, copy),
        }
        for account, view in sorted(folded.accounts.items())
        for copy in view.copies.values()
        if only in (None, account) and (links is None or copy.link in links)
    ]


def copy_line(row: Mapping[str, Any]) -> str:
    """A copy in one line."""
    where = f"position {row['position']}" if row["position"] else f"order {row['order'] or 'on its way'}"
    volume = str(row["volume"]).removesuffix(".00")
    return f"{row['profile']} {row['follower_name']}: {row['side']} {volume} {row['symbol']}, {where}"


def left_rows(target: Mapping[str, Any], *, whole: bool) -> list[dict[str, Any]]:
    """All that is still to end of a target by the log; with `whole` what is nobody's copy too."""
    from cmam import office
    from cmam.domain.operating.asking import find_account, find_profile
    from cmam.domain.repair.leftover import left

    folded = office.read_fold(face().home)
    registry = folded.registry
    names = {str(link): profile.name for profile in registry.live_profiles() for link in profile.links}
    links = set(map(str, find_profile(registry, str(target["profile"])).links)) if target.get("profile") else None
    only = find_account(registry, str(target["account"])).account if target.get("account") else None
    return [
        {
            "profile": names.get(str(one.link), "deleted") if one.link is not None else "nobody's copy",
            "follower": int(account),
            "follower_name": registry.accounts[account].shown if account in registry.accounts else str(account),
            **_row_of(view, one),
        }
        for account, view in sorted(folded.accounts.items())
        for one in (left(view, registry.store, whole=whole) if only in (None, account) else ())
        if links is None or str(one.link) in links
    ]


def _row_of(view: AccountView, one: Left) -> dict[str, Any]:
    from cmam.domain.values.quantities import units_text

    if one.copy is not None:
        return _row(view, one.copy)
    held = one.position or one.order
    assert held is not None
    return {
        "symbol": _symbol(view, held.symbol),
        "side": held.side.value,
        "volume": units_text(held.volume),
        "state": "open" if one.position is not None else "resting",
        "position": int(one.position.position) if one.position is not None else None,
        "order": int(one.order.order) if one.order is not None else None,
        "stop": held.stop is not None,
    }


def _symbol(view: AccountView, symbol: int) -> str:
    return next((name for name, entry in view.names.items() if entry.symbol == symbol), str(symbol))


def _row(view: AccountView, copy: Copy) -> dict[str, Any]:
    from cmam.domain.values.quantities import units_text

    position = view.positions.get(copy.position) if copy.position is not None else None
    order = view.orders.get(copy.order) if copy.order is not None else None
    return {
        "symbol": _symbol(view, copy.symbol),
        "side": copy.side.value,
        "volume": units_text(copy.volume or (order.volume if order is not None else 0)),
        "state": copy.state.value,
        "position": int(copy.position) if copy.position is not None else None,
        "order": int(order.order) if order is not None else None,
        "stop": position is not None and position.stop is not None,
    }
