"""What-if over a small log: what is asked, what it leaves alone, what it counts, and what it says is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cmam.domain.events import (
    Event,
    ExecutionSeen,
    LimiterMeasured,
    LinkSettingsChanged,
    QuotesSampled,
    SymbolSpecSeen,
)
from cmam.domain.operating.registry import PROFILE_PREFIX, Registry
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.ids import LinkId, SymbolId
from cmam.domain.values.quantities import Quote
from cmam.store.folding.fold import fold
from cmam.store.what_if import Asked, AskedInvalid, profiles, what_if

from .world import FIRST, LINKS, PROFILE, SECOND, World, a_day, price


def _asked(world: World, settings: dict[str, str], **more: str) -> Asked:
    return Asked.of(fold(world.log.read_all()).registry, settings, **more)


def test_settings_that_are_what_they_were_change_nothing() -> None:
    """Also where they are spelt out."""
    world = a_day()
    found = what_if(world.log.read_all, _asked(world, {"volume.amount": "0.5", "side": "both"}))
    assert found["equal"]
    assert found["trades"] > 2
    assert found["model"]["fills"] == 0


def test_twice_the_amount_is_twice_the_volume_and_twice_the_result() -> None:
    """Each trade that was copied comes out with both numbers doubled, at the recorded prices."""
    world = World().set_up()
    position = world.leader_opens(20_000_000)
    world.leader_closes(position, at="1.10500")
    found = what_if(world.log.read_all, _asked(world, {"volume.amount": "1"}))
    (row,) = [row for row in found["differences"] if row["follower"] == FIRST]
    assert (row["recorded"]["volume"], row["what_if"]["volume"]) == ("100000.00", "200000.00")
    assert (row["recorded"]["result"], row["what_if"]["result"]) == ("425.42", "850.84")
    assert row["result_difference"] == "425.42"
    assert found["model"]["at_recorded_fills"] == found["model"]["fills"] == 4


def test_what_a_person_closed_is_converted_as_his_broker_did() -> None:
    """At 1.20 dollars to the euro, as the recorded deal says, whatever quotes are on record: here there is none, and
    the close came to nothing. Where the last one was of before a jump, the result was off by that."""
    world = World().set_up()
    world.leader_opens(20_000_000)
    world.person_closes(FIRST, 10_000_000, at="1.20000")
    found = what_if(world.log.read_all, _asked(world, {"volume.amount": "1"}))
    (row,) = [row for row in found["differences"] if row["follower"] == FIRST]
    assert (row["recorded"]["ended"], row["what_if"]["ended"]) == ("closed_by_human", "closed_by_human")
    assert (row["recorded"]["result"], row["what_if"]["result"]) == ("8325.00", "16650.00")


def test_what_no_deal_told_is_unknown_and_not_nothing() -> None:
    """A copy that is closed, without the deal that closed it on record: neither result nor difference is known."""
    world = World().set_up()
    position = world.leader_opens(20_000_000)
    world.leader_closes(position, at="1.10500")
    records = [
        msgspec.structs.replace(record, event=replace(record.event, deal=None))
        if isinstance(record.event, ExecutionSeen)
        and record.stream == f"account:{FIRST}"
        and record.event.deal is not None
        and record.event.deal.close is not None
        else record
        for record in world.log.read_all()
    ]
    found = what_if(lambda: records, _asked(world, {"volume.amount": "1"}))
    (row,) = [row for row in found["differences"] if row["follower"] == FIRST]
    assert (row["recorded"]["state"], row["recorded"]["result"]) == ("closed", None)
    assert row["result_difference"] is None
    (follower,) = [one for one in found["followers"] if one["follower"] == FIRST]
    assert (follower["recorded"]["result"], follower["difference"]["result"]) == (None, None)


def test_what_is_not_copied_any_more_says_why() -> None:
    """A trade that the other settings skip has their reason, no volume and no result."""
    world = World().set_up()
    world.leader_closes(world.leader_opens(20_000_000))
    found = what_if(world.log.read_all, _asked(world, {"side": "sell"}))
    row = next(row for row in found["differences"] if row["follower"] == FIRST)
    assert row["what_if"] == {
        "verdict": "skip",
        "reason": "side_excluded",
        "volume": "0.00",
        "result": "0.00",
        "state": None,
        "ended": None,
    }
    sums = next(one for one in found["followers"] if one["follower"] == FIRST)
    assert (sums["difference"]["copied"], sums["difference"]["skipped"]) == (-1, 1)


def test_a_follower_that_was_not_asked_for_stays_as_it_was() -> None:
    """Other settings for one follower change nothing at the other, to the last cent."""
    world = a_day()
    found = what_if(world.log.read_all, _asked(world, {"volume.amount": "0.25"}, follower=str(FIRST)))
    assert {row["follower"] for row in found["differences"]} == {FIRST}
    second = next(one for one in found["followers"] if one["follower"] == SECOND)
    assert second["recorded"] == second["what_if"]


def test_a_file_takes_the_place_of_all_settings() -> None:
    """What a profile of the file does not name stands at its default, whatever was recorded."""
    world = World().set_up()
    world.leader_opens(20_000_000)
    document = {"name": "main", "settings": {}, "followers": [{"account": str(FIRST), "settings": {}}]}
    asked = Asked.of(fold(world.log.read_all()).registry, {}, documents=[document])
    (row,) = what_if(world.log.read_all, asked)["differences"]
    assert (row["recorded"]["volume"], row["what_if"]["volume"]) == ("100000.00", "200000.00")


def _with_settings(**settings: str) -> World:
    world = World().set_up()
    named = {name.replace("__", "."): value for name, value in settings.items()}
    world.write_profile(LinkSettingsChanged(link=LINKS[FIRST], settings=named))
    world.leader_opens(20_000_000)
    return world


def test_what_was_stored_and_is_not_allowed_any_more_stands_in_nobodys_way() -> None:
    """Settings of before are no fault of who asks: any question of such a log was refused. A setting that is asked for
    is, and so is what is wrong by it alone."""
    world = _with_settings(volume__amount="0.5", tp_offset="10", fixed_tp="30")
    found = what_if(world.log.read_all, _asked(world, {"volume.amount": "1"}))
    assert {row["what_if"]["volume"] for row in found["differences"]} == {"200000.00"}
    with pytest.raises(AskedInvalid, match="fixed_sl takes the stop"):
        _asked(world, {"fixed_sl": "30", "sl_offset": "5"})


def test_a_file_is_not_judged_by_what_it_takes_the_place_of() -> None:
    """An offset that the file names was refused for the fixed target on record, which the file has no more."""
    world = _with_settings(volume__amount="0.5", fixed_tp="30")
    document = {
        "name": "main",
        "settings": {"tp_offset": "10"},
        "followers": [{"account": str(FIRST), "settings": {}}],
    }
    asked = Asked.of(fold(world.log.read_all()).registry, {}, documents=[document])
    (row,) = what_if(world.log.read_all, asked)["differences"]
    assert row["what_if"]["volume"] == "200000.00"


def test_the_settings_of_a_link_are_understood_once_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each account, decision and minute of a line, those of all other followers with them: of 45 followers
    an hour took minutes."""
    world, understood, folded = a_day(), list[LinkId](), list[str]()
    for minute in range(50):
        world.write("connection:demo-1", LimiterMeasured(sent=minute, busiest_second=1, dropped=0, guard_us=0))
    settings_of, evolve = profiles.link_settings, profiles.evolve_registry

    def link_settings(*arguments: Any, **named: Any) -> tuple[LinkSettings, ...]:
        found = settings_of(*arguments, **named)
        understood.extend(link.link for link in found)
        return found

    def evolve_registry(registry: Registry, stream: str, event: Event) -> Registry:
        folded.append(stream)
        return evolve(registry, stream, event)

    monkeypatch.setattr(profiles, "link_settings", link_settings)
    monkeypatch.setattr(profiles, "evolve_registry", evolve_registry)
    looks = list[int]()
    links = Registry.links
    monkeypatch.setattr(Registry, "links", lambda registry: (looks.append(1), links(registry))[1])
    assert what_if(world.log.read_all, _asked(world, {"volume.amount": "1"}))["trades"]
    versions = sum(stream.startswith(PROFILE_PREFIX) for stream in folded)
    assert folded.count("connection:demo-1") == 50
    assert len(looks) <= sum(not stream.startswith("connection:") for stream in folded) + 1  # and one of `asked`
    assert len(understood) <= versions * len(set(understood))


def test_a_drawdown_is_that_of_the_recorded_samples() -> None:
    """Equity is taken at each sample on both sides: half the copy falls half as deep."""
    world = World().set_up()
    spec = replace(world.views[FIRST].specs[SymbolId(FIRST % 1_000)], quote_name="EUR")
    world.fact(FIRST, SymbolSpecSeen(spec=spec))
    world.leader_opens(20_000_000, at="1.10000")
    for bid in ("1.10000", "1.09000", "1.09500"):
        world.tick(10_000_000)
        quote = Quote(price(bid), price(bid), world.now // 1_000, world.now)
        world.write(f"account:{FIRST}", QuotesSampled(quotes={"EURUSD": quote}))
    found = what_if(world.log.read_all, _asked(world, {"volume.amount": "0.25"}))
    sums = next(one for one in found["followers"] if one["follower"] == FIRST)
    assert sums["samples"] == 3
    assert (sums["recorded"]["drawdown"], sums["what_if"]["drawdown"]) == ("1000.00", "500.00")


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Each value, each name, and an unknown profile or follower in one sentence with what there is."""
    world = World().set_up()
    with pytest.raises(AskedInvalid) as wrong:
        _asked(world, {"volume.amount": "none", "sied": "buy", "side": "up"})
    assert len(wrong.value.faults) == 3
    assert "such as side" in str(wrong.value)
    with pytest.raises(AskedInvalid, match=r"volume\.formula: expected a formula"):
        _asked(world, {"volume.mode": "formula"})
    with pytest.raises(AskedInvalid, match="Main"):
        _asked(world, {"side": "buy"}, profile="other")
    with pytest.raises(AskedInvalid, match="no follower 77"):
        _asked(world, {"side": "buy"}, follower="77")
    with pytest.raises(AskedInvalid, match="nothing to run again"):
        Asked.of(Registry(), {"side": "buy"})


def test_the_log_itself_is_only_read() -> None:
    """Neither the records nor what stands in them is touched by a what-if."""
    world = a_day()
    before = [record.hash for record in world.log.read_all()]
    what_if(world.log.read_all, _asked(world, {"volume.amount": "3"}))
    assert [record.hash for record in world.log.read_all()] == before
    assert PROFILE in fold(world.log.read_all()).registry.profiles
    assert any(isinstance(record.event, ExecutionSeen) for record in world.log.read_all())
