"""Explain over a whole rulebook: every story holds by itself, and what it says would have helped does help.

The cases, the brokers and the leader's trade are those of `test_rules_sizes.py`.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from cmam.domain.trials.cures import KNOBS
from cmam.domain.values.reasons import Reason
from cmam.store.auditing.audit import Audit
from cmam.store.auditing.explain import explain
from cmam.store.auditing.filters import Filters
from cmam.store.auditing.totals import totals
from cmam.store.what_if import Asked, what_if
from tests.rulebook import UNIT, Case, Rulebook
from tests.scenario.test_rules_sizes import SIZES


def _day(cases: list[Case]) -> tuple[Rulebook, dict[str, dict[str, Any]]]:
    """One leader's trade copied by these cases, and each one's story."""
    book = Rulebook(cases)
    book.begin()
    book.person.buy(73_000 * UNIT, label="abcD", relativeStopLoss=803, relativeTakeProfit=1_217)
    book.go(3)
    audit = Audit.of(book.log)
    stories = {}
    for case in cases:
        (decision,) = [line for line in audit.decisions() if (line["profile"], line["kind"]) == (case.name, "opened")]
        (stories[case.name],) = explain(audit, decision["decision_id"])
    return book, stories


def test_every_story_holds_and_every_cure_cures() -> None:
    """Arithmetic gives the decided volume, today's code decides alike, and a skip run again under its cure copies it.

    The second run is a whole new day on the sandbox, with the settings that explain said would have been enough.
    """
    _, stories = _day(SIZES)
    cured: list[Case] = []
    for case in SIZES:
        story = stories[case.name]
        assert story["reproduced"], case.name
        if story["arithmetic"] is not None:
            assert story["arithmetic"]["holds"], case.name
            step = Fraction(next(s["note"].split()[-1] for s in story["working"] if s["name"] == "rounded"))
            raw, rounded = (Fraction(s["value"]) for s in story["working"] if s["name"] in ("raw", "rounded"))
            assert rounded == raw // step * step, case.name
        elif story["verdict"] == "copy":
            raise AssertionError(f"{case.name} was sized and shows no arithmetic")
        mine = [row for row in story["set_by"] if row["setting"] in case.settings]
        assert {row["setting"]: row["value"] for row in mine} == dict(case.settings)
        assert all(row["version"] for row in mine if row["value"] != row["default"]), case.name
        if story["verdict"] == "skip":
            assert Reason(story["reason"]) in KNOBS, case.name
            assert story["cures"], case.name
            cured += _with_settings_of(case, story)
    assert len(cured) >= 12
    book, _ = _day(cured)
    assert {case.name: book.volumes(case.name) for case in cured} == {
        case.name: [int(Fraction(case.expected) * UNIT)] for case in cured
    }


def _with_settings_of(case: Case, story: dict[str, Any]) -> list[Case]:
    """The case under each of its cures that consists of settings alone."""
    found = []
    for number, cure in enumerate(story["cures"]):
        if all(one["is_setting"] for one in cure["alterations"]) and not cure["waits"]:
            settings = {**case.settings, **{one["what"]: one["needs"] for one in cure["alterations"]}}
            name = f"{case.name} {number}"
            found.append(replace(case, name=name, settings=settings, expected=cure["volume"]))
    return found


def test_a_size_by_risk_shows_what_its_costs_take_off() -> None:
    """By the stop alone 30 ÷ 0.0091152 = 3,291.2 units; the least commission leaves 2,468, and both stand there."""
    risk = {"volume.mode": "risk_percent", "volume.amount": "0.3"}
    _, stories = _day([Case("dear", "Dear", risk, balance="10000")])
    arithmetic = stories["dear"]["arithmetic"]
    assert arithmetic["text"] == "0.3 % × 10000 ÷ (0.00803 × 1 + 0.0010852) = 6250000/1899 units"
    assert arithmetic["then"][0].startswith("within 2468 (units: minimum commission")
    assert (arithmetic["holds"], arithmetic["volume"]) == (True, "2468.00")


def test_a_later_look_shows_its_arithmetic_in_every_volume_mode() -> None:
    """An open that waits for a better price is sized when that comes: what was multiplied stands with that look, also
    where it was lots of the follower's symbol."""
    sizes = {
        "multiplier": "0.5",
        "fixed": "0.03",
        "formula": "leader_lots * 2",
        "balance_ratio": "1",
        "fixed_leverage": "1",
        "risk_percent": "1",
    }
    cases = []
    for mode, amount in sizes.items():
        how = {"volume.formula": amount} if mode == "formula" else {"volume.amount": amount}
        settings = {"volume.basis": "units", "volume.mode": mode, "wait_for_better": "2.5", **how}
        cases.append(Case(mode, "Mini", {**settings, "volume.without_stop": "0.04"}, currency="EUR"))
    book = Rulebook(cases)
    book.begin()
    book.person.buy(10_000 * UNIT)
    book.go()
    book.price("EURUSD", "1.08400")
    book.go(2)
    audit = Audit.of(book.log)
    for case in cases:
        (decision,) = [line for line in audit.decisions() if (line["profile"], line["kind"]) == (case.name, "opened")]
        (story,) = explain(audit, decision["decision_id"])
        (look,) = story["attempts"]
        assert (look["verdict"], look["reproduced"]) == ("copy", True), case.name
        assert look["arithmetic"] is not None, case.name
        assert look["arithmetic"]["holds"], case.name
        assert book.volumes(case.name) == [int(Fraction(look["volume"]) * UNIT)], case.name
        (order,) = story["orders"]
        told = [one["what"] for one in story["timeline"]]
        begun = told.index("looked again, copy")
        asked = f"request {order['intent']}: open {order['volume']}"
        assert told[begun + 1 : begun + 3] == [asked, "sent"], (case.name, told)


def test_an_open_that_waited_in_vain_counts_as_skipped() -> None:
    """What came of an open that waited stands with its decision: in lists and totals it was no copy, and why. One whose
    price or stop came was a copy, of as much as its copy."""
    by_risk = {"volume.mode": "risk_percent", "volume.basis": "units"}
    better = {"volume.basis": "units", "wait_for_better": "5", "max_age": "4s"}
    cases = [
        Case("no stop", "Mini", by_risk, currency="EUR"),
        Case("not better", "Mini", better, currency="EUR"),
        Case("better", "Mini", {**better, "wait_for_better": "2.5"}, currency="EUR"),
    ]
    book = Rulebook(cases)
    book.begin()
    book.person.buy(10_000 * UNIT)
    book.go()
    audit = Audit.of(book.log)
    assert {line["wait"] for line in audit.decisions()} >= {"stop", "better"}
    book.price("EURUSD", "1.08460")
    book.go(6)
    audit = Audit.of(book.log)
    opens = {line["profile"]: line for line in audit.decisions() if line["kind"] == "opened"}
    assert {name: (line["verdict"], line["reason"], line["wait"]) for name, line in opens.items()} == {
        "no stop": ("skip", "no_stop", "stop"),
        "not better": ("skip", "not_better", "better"),
        "better": ("copy", None, "better"),
    }
    (copied,) = (line for line in audit.copies() if line["profile"] == "better")
    volumes = {name: line["volume"] for name, line in opens.items()}
    assert volumes == {"no stop": "0.00", "not better": "0.00", "better": copied["volume"]}
    assert copied["volume"] != "0.00"
    assert [line["profile"] for line in audit.decisions(Filters(reason="no_stop"))] == ["no stop"]
    for line in totals(audit, by=("profile",)):
        skips = {} if line["profile"] == "better" else {str(opens[line["profile"]]["reason"]): 1}
        assert (line["skips"], line["skipped"]) == (skips, len(skips))
    (story,) = explain(audit, opens["no stop"]["decision_id"])
    assert story["reproduced"]
    assert [(look["verdict"], look["reason"]) for look in story["attempts"]] == [("skip", "no_stop")]


def test_an_open_that_waited_until_its_leader_closed_is_no_copy() -> None:
    """There was nothing to copy any more: it is neither copied nor skipped, in lists, totals and a what-if. What was
    asked for is a copy."""
    waits = {"volume.basis": "units", "wait_for_better": "20", "max_age": "60s"}
    book = Rulebook(
        [Case("waits", "Mini", waits, currency="EUR"), Case("plain", "Mini", {"volume.basis": "units"}, currency="EUR")]
    )
    book.begin()
    position = book.person.buy(10_000 * UNIT)
    book.go()
    audit = Audit.of(book.log)
    assert {line["profile"]: line["verdict"] for line in audit.decisions()} == {"waits": "copy", "plain": "copy"}
    book.person.close(position, 10_000 * UNIT)
    book.go()
    audit = Audit.of(book.log)
    opens = {line["profile"]: line for line in audit.decisions() if line["kind"] == "opened"}
    assert {name: (line["verdict"], line["reason"], line["wait"]) for name, line in opens.items()} == {
        "waits": ("none", "source_gone", "better"),
        "plain": ("copy", None, None),
    }
    (line,) = totals(audit, Filters(profile="waits"), by=("profile",))
    assert (line["copied"], line["skipped"], line["skips"]) == (0, 0, {})
    asked = Asked.of(book.folded().registry, {"wait_for_better": "off"})
    (row,) = what_if(book.log.read_all, asked)["differences"]
    told = [(row[side]["verdict"], row[side]["reason"]) for side in ("recorded", "what_if")]
    assert told == [("none", "source_gone"), ("copy", None)]
