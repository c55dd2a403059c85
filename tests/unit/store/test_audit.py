"""The audit: what happened is what it says, in the words and keys that scripts rely on."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cmam.domain.events import (
    AccountAdded,
    AccountAliased,
    GuardRearmed,
    GuardTripped,
    IntentOverdue,
    IntentRecorded,
    LinkSettingsChanged,
    RequestRefused,
)
from cmam.domain.values.ids import IntentId
from cmam.domain.values.reasons import REASONS, Reason
from cmam.store.auditing.audit import Audit
from cmam.store.auditing.explain import explain
from cmam.store.auditing.filters import Filters
from cmam.store.auditing.timeline import in_hand
from cmam.store.auditing.timings import slippage, timings
from cmam.store.auditing.totals import COPY_COUNTS, GROUPINGS, totals
from cmam.store.text import iso, parse_time

from .world import FIRST, LEADER, LINKS, SECOND, World, a_day

COPY_KEYS = """copy_id, profile, leader, follower, leader_position, follower_position, symbol, side, leader_volume,
    volume, state, opened_at, closed_at, open_price, close_price, reason"""
DECISION_KEYS = "decision_id, at, profile, follower, cause, change, verdict, reason, volume, settings_version"
MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


@pytest.fixture(scope="module")
def audit() -> Audit:
    """The past of a whole day."""
    return Audit.of(a_day().log)


def test_a_copy_line_has_the_promised_keys_in_their_order(audit: Audit) -> None:
    """Scripts read these; more may follow, none may go."""
    promised = [key.strip() for key in COPY_KEYS.split(",")]
    lines = list(audit.copies())
    assert lines
    assert all(list(line)[: len(promised)] == promised for line in lines)


def test_a_finished_copy_says_both_ends(audit: Audit) -> None:
    """Both positions, both volumes, both prices and moments, and why it ended."""
    line = next(audit.copies())
    assert (line["leader"], line["follower"], line["profile"]) == (LEADER, FIRST, "Main")
    assert (line["leader_volume"], line["volume"], line["held"]) == ("100000.00", "50000.00", "0.00")
    assert line["leader_position"] != line["follower_position"]
    assert (line["open_price"], line["close_price"], line["slippage_pips"]) == ("1.10010", "1.10480", "1.0")
    assert (line["state"], line["reason"], line["side"]) == ("closed", "closed_by_leader", "buy")
    assert MOMENT.match(line["opened_at"])
    assert line["opened_at"] < line["closed_at"]


def test_a_refused_copy_is_a_copy_that_was_refused(audit: Audit) -> None:
    """What the broker refused stands among the copies with that state, and its request with the broker's reason."""
    (line,) = audit.copies(Filters(state="refused"))
    assert (line["volume"], line["target"], line["follower_position"]) == ("0.00", "15000.00", None)
    (order,) = audit.orders(Filters(copy_id=line["copy_id"]))
    assert (order["outcome"], order["reason"], order["filled"]) == ("refused", "NOT_ENOUGH_MONEY", "0.00")


def test_a_copy_without_an_answer_is_unknown() -> None:
    """While neither yes nor no is proven, that is what its state says."""
    world = a_day()
    (waiting,) = Audit.of(world.log).copies(Filters(state="opening"))
    world.fact(FIRST, IntentOverdue(intent=IntentId(waiting["copy_id"] + ".1"), why="no answer"))
    (line,) = Audit.of(world.log).copies(Filters(copy_id=waiting["copy_id"]))
    assert line["state"] == "unknown"


def test_every_change_meets_one_decision_per_follower(audit: Audit) -> None:
    """The list of decisions is complete: each change once for each link, with a reason wherever nothing was copied."""
    promised = [key.strip() for key in DECISION_KEYS.split(",")]
    seen: dict[str, list[int]] = {}
    for line in audit.decisions():
        assert list(line)[: len(promised)] == promised
        assert (line["reason"] is None) == (line["verdict"] == "copy")
        seen.setdefault(line["change"], []).append(line["follower"])
    assert len(seen) == 8
    assert all(sorted(followers) == [FIRST, SECOND] for followers in seen.values())


def test_filters_leave_out_and_nothing_else(audit: Audit) -> None:
    """Each filter alone, and several together, against a count by hand."""
    everything = list(audit.decisions())
    assert list(audit.decisions(Filters(reason="below_minimum"))) == [
        line for line in everything if line["reason"] == "below_minimum"
    ]
    assert list(audit.decisions(Filters(profile="MAIN", account=SECOND))) == [
        line for line in everything if line["follower"] == SECOND
    ]
    assert list(audit.decisions(Filters(account=LEADER))) == everything
    assert not list(audit.decisions(Filters(profile="other")))
    assert not list(audit.decisions(Filters(symbol="GBPUSD")))
    moment = everything[5]["at"]
    since = list(audit.decisions(Filters(since_us=parse_time(moment))))
    assert since == [line for line in everything if line["at"] >= moment]
    assert 0 < len(since) < len(everything)


def test_accounts_and_settings_are_those_of_the_decisions_that_filters_choose(audit: Audit) -> None:
    """An account that led or followed in one of them, or is of the profile; a change
    that came before one of them, of its profile or link."""

    def accounts(**filters: Any) -> list[int]:
        return [line["account"] for line in audit.accounts(Filters(**filters))]

    decisions = list(audit.decisions())
    skipped = [line for line in decisions if line["reason"] == "no_copy"]
    followers = {line["follower"] for line in skipped}
    assert followers == {SECOND}
    assert accounts(reason="no_copy") == [LEADER, SECOND]
    assert accounts(reason="no_copy", account=SECOND, profile="main") == [SECOND]
    assert accounts(profile="main") == [LEADER, FIRST, SECOND]
    assert accounts(symbol="eurusd") == accounts()
    last_us = parse_time(decisions[-1]["at"])
    assert accounts(since_us=last_us + 1) == accounts(symbol="GBPUSD") == accounts(profile="other") == []
    last = max(line["settings_version"] for line in skipped)
    everything = [line for line in audit.settings() if line["profile"] and line["version"] <= last]
    found = list(audit.settings(Filters(reason="no_copy", symbol="EURUSD")))
    assert found == [line for line in everything if line["account"] in (None, SECOND)]
    assert 1 < len(found) < len(everything)
    assert list(audit.settings(Filters(reason="no_copy", last=1))) == found[-1:]
    assert not list(audit.settings(Filters(reason="margin")))


def test_a_filter_is_a_value_and_never_a_piece_of_sql(audit: Audit) -> None:
    """What a user types is bound, so that an odd name finds nothing instead of everything."""
    assert not list(audit.copies(Filters(profile="' OR 1=1 --")))
    assert not list(audit.copies(Filters(symbol="x' OR '1'='1")))
    assert not list(audit.accounts(Filters(symbol="x' OR '1'='1", account=LEADER)))
    assert len(list(audit.copies())) == 3


def test_orders_name_the_decision_they_came_from(audit: Audit) -> None:
    """Closes and amendments too, which follow from the copy's goal rather than from the change itself."""
    decisions = {line["decision_id"]: line for line in audit.decisions()}
    for line in audit.orders():
        assert decisions[line["decision_id"]]["copy_id"] == line["copy_id"]
    assert {line["kind"] for line in audit.orders()} == {"open", "close", "amend_protection"}
    assert {line["outcome"] for line in audit.orders()} == {"confirmed", "refused", None}


def test_accounts_show_what_was_last_known(audit: Audit) -> None:
    """Balance as decimal text in the account's digits, health, and what it holds."""
    by_account = {line["account"]: line for line in audit.accounts()}
    assert by_account[LEADER]["balance"] == "10271.49"
    assert by_account[LEADER]["health"] == "reconciled"
    assert (by_account[LEADER]["positions"], by_account[FIRST]["copies"]) == (3, 1)
    assert (by_account[SECOND]["login"], by_account[SECOND]["currency"]) == (SECOND + 7, "EUR")


def test_an_account_shows_the_currency_that_its_broker_tells() -> None:
    """Where the consent did not tell it, and also once the operator has changed something about the account."""
    world = World()
    world.write("app", AccountAdded(account=FIRST, login=7, broker="Alpha"))
    assert next(Audit.of(world.log).accounts())["currency"] is None
    world.connect(FIRST)
    world.write("app", AccountAliased(account=FIRST, alias="mine"))
    line = next(Audit.of(world.log).accounts())
    assert (line["currency"], line["account_type"], line["alias"]) == ("EUR", "hedged", "mine")


def test_settings_show_what_changed_from_what_to_what() -> None:
    """Each change with its value before, from the profile's creation on."""
    world = World().set_up()
    world.write_profile(LinkSettingsChanged(link=LINKS[FIRST], settings={"volume.amount": "2", "copy_sl": "off"}))
    lines = list(Audit.of(world.log).settings(Filters(account=FIRST)))
    assert [line["what"] for line in lines] == ["profile.link_added", "profile.link_settings_changed"]
    assert lines[1]["changed"] == {"volume.amount": ["0.5", "2"], "copy_sl": [None, "off"]}
    assert lines[1]["profile"] == "Main"


def test_what_explains_a_copy_without_deciding_it_is_listed() -> None:
    """A tripped guard, its re-arming and a flatten stand with their numbers and who asked for them."""
    world = a_day()
    world.fact(FIRST, GuardTripped(link=LINKS[FIRST], guard="min_equity", reaction="close_only", value=9, limit=10))
    world.fact(FIRST, GuardRearmed(link=LINKS[FIRST], guard="min_equity", user="ann"))
    lines = list(Audit.of(world.log).notes(Filters(account=FIRST, profile="main")))
    assert [line["what"] for line in lines] == ["guard_tripped", "guard_rearmed"]
    assert (lines[0]["data"]["limit"], lines[1]["user"]) == (10, "ann")


def test_explain_shows_the_arithmetic_as_it_was_computed_then(audit: Audit) -> None:
    """The working comes from the decision itself, down to the last rounding, with the age of what it rested on."""
    decision = next(audit.decisions(Filters(account=SECOND, reason="below_minimum")))
    (story,) = explain(audit, decision["decision_id"])
    working = {step["name"]: step["value"] for step in story["working"]}
    assert (working["leader_volume"], working["raw"], working["rounded"]) == ("100000.00", "50000", "0.00")
    assert working["minimum"] == "100000.00"
    assert story["reason"] == "below_minimum"
    row = REASONS[Reason.BELOW_MINIMUM]
    assert (story["rule"], story["advice"], story["reproduced"]) == (row.when, row.cure, True)
    assert story["let_through_by"].startswith("volume.amount=1 (was 0.5) → 100000.00 units; or volume.rounding=raise")
    assert (story["arithmetic"]["text"], story["arithmetic"]["holds"]) == ("100000.00 × 1 × 0.5 = 50000 units", True)
    assert story["inputs"]["quotes"]["EURUSD"]["age_ms"] == 0
    assert story["settings"]["volume.amount"] == "0.5"
    assert story["cause"]["record"] == decision["cause"]
    assert story["orders"] == []


def test_explain_tells_what_happened_in_order_with_times(audit: Audit) -> None:
    """From the leader's fill over the durable decision to the broker's answer and the copy's end; causes first."""
    story = next(explain(audit, next(audit.copies())["copy_id"]))
    told = [line["what"].split(":")[0].split(",")[0] for line in story["timeline"]]
    assert told[:4] == ["the leader's broker", "seen by us", "decided", "request cm1.st0re.l1nk01.p3ux.1"]
    assert story["timeline"][4]["what"] == ("sent: durable 0.800 ms after the decision, on the socket 0.100 ms later")
    assert told[-1] == "the copy is closed"
    moments = [line["at"] for line in story["timeline"]]
    assert moments == sorted(moments)
    assert [line["after_ms"] for line in story["timeline"][1:4]] == ["0.000", "10.000", "10.000"]


def test_explain_puts_no_effect_before_its_cause_within_a_millisecond() -> None:
    """A broker that answers in less than one: what is confirmed was sent before, and was decided before that."""
    world = World(tick_us=300).set_up()
    position = world.leader_opens(10_000_000)
    world.leader_moves_stop(position, "1.09000")
    world.leader_closes(position)
    lines = list(Audit.of(world.log).decisions(Filters(account=FIRST)))
    assert len(lines) == 3
    for line in lines:
        (story,) = explain(Audit.of(world.log), line["decision_id"])
        told = [one["what"].split(":")[0].split(",")[0].split(" ")[0] for one in story["timeline"]]
        told = told[told.index("seen") :]
        assert told[:5] == ["seen", "decided", "request", "sent", "accepted"]
        assert told[5] == "confirmed"


def test_explain_tells_levels_and_the_volume_that_was_opened() -> None:
    """A position is protected as a whole, by levels; a copy that grew later was opened with less."""
    world = World().set_up()
    position = world.leader_opens(10_000_000)
    world.leader_moves_stop(position, "1.09000")
    world.leader_grows(position, 4_000_000)
    past = Audit.of(world.log)
    opened, moved, grown = (next(explain(past, line["decision_id"])) for line in past.decisions(Filters(account=FIRST)))
    assert moved["timeline"][1]["what"] == "the leader's broker: protected buy EURUSD, stop 1.09000, target none"
    assert grown["verdict"] == "copy"
    told = [line["what"] for line in opened["timeline"]]
    assert "the copy is open, 50000.00 at 1.10010, later 70000.00 at most" in told


def test_explain_tells_what_a_person_did_and_what_came_of_an_add_that_waited() -> None:
    """A part that somebody closes is told by its volumes, and ends what the copy waited to grow by."""
    world = World().set_up()
    position = world.leader_opens(10_000_000)
    world.is_reading = True
    world.leader_grows(position, 4_000_000)
    world.person_closes(FIRST, 1_000_000)
    past = Audit.of(world.log)
    opened, grown = (next(explain(past, line["decision_id"])) for line in past.decisions(Filters(account=FIRST)))
    assert (grown["verdict"], grown["orders"], grown["attempts"]) == ("copy", [], [])
    touched = "copy touched: volume 50000 to 40000"
    assert touched in [line["what"] for line in opened["timeline"]]
    assert f"{touched}; what this waited to add is given up" in [line["what"] for line in grown["timeline"]]


def test_explain_has_the_brokers_own_words_for_a_refusal() -> None:
    """A code may stand for many things: what the broker said beside it is shown with it."""
    world = World().set_up()
    world.silent.add(FIRST)
    world.leader_opens(10_000_000)
    (intent,) = world.views[FIRST].intents
    said = "Guaranteed stop loss is not available for symbol EURUSD"
    world.fact(FIRST, RequestRefused(intent=intent, error_code="INVALID_REQUEST", description=said))
    past = Audit.of(world.log)
    (story,) = explain(past, next(past.decisions(Filters(account=FIRST)))["decision_id"])
    told = [line["what"] for line in story["timeline"]]
    assert f"refused (INVALID_REQUEST: {said}), 0.00 filled" in told
    assert "refused by the broker, 20.000 ms after it was sent" in told
    assert not [line for line in told if line.startswith("accepted")]


@pytest.mark.parametrize(
    ("what", "before", "after", "words"),
    [
        ("volume", 200_000, 190_050, "volume 2000 to 1900.50"),
        ("stop", 14_938_100_000, 0, "stop 149.38100 to none"),
        ("target", 0, 108_640_000, "target none to 1.08640"),
        ("trailing", 1, 0, "trailing off"),
        ("order", 100_000, 70_000, "order 1000 to 700"),
    ],
)
def test_what_somebody_did_to_a_copy_is_told_as_people_write_it(what: str, before: int, after: int, words: str) -> None:
    """Volumes in units, levels as prices."""
    assert in_hand({"what": what, "before": before, "after": after}) == words


def test_explain_says_who_set_a_setting_and_when() -> None:
    """The version that was decided by, and the record that made the value what it was, with its author."""
    world = World().set_up()
    changed = LinkSettingsChanged(link=LINKS[FIRST], settings={"volume.amount": "0.005"}, user="ann")
    world.write_profile(changed)
    world.leader_opens(150_000)
    (decision,) = Audit.of(world.log).decisions(Filters(account=FIRST))
    (story,) = explain(Audit.of(world.log), decision["decision_id"])
    rows = {row["setting"]: row for row in story["set_by"]}
    assert (rows["volume.amount"]["value"], rows["volume.amount"]["user"]) == ("0.005", "ann")
    assert rows["volume.amount"]["version"] == decision["settings_version"] == 4
    assert rows["volume.rounding"] == {
        "setting": "volume.rounding",
        "value": "skip,cap",
        "default": "skip,cap",
        "version": None,
        "at": None,
        "user": None,
    }


@pytest.mark.parametrize("what", ["copy_id", "intent", "change", "leader_position", "follower_position", "decision_id"])
def test_explain_understands_every_name_of_a_thing(audit: Audit, what: str) -> None:
    """Whatever a person has at hand leads to the story."""
    copy = next(audit.copies())
    order = next(audit.orders(Filters(copy_id=copy["copy_id"])))
    decision = next(audit.decisions(Filters(account=FIRST)))
    names = {**decision, **order, **copy}
    stories = list(explain(audit, str(names[what])))
    assert stories
    assert all(story["copy"]["copy_id"] == copy["copy_id"] for story in stories if story["follower"] == FIRST)


@pytest.mark.parametrize("name", ["", "nothing", "1.2.3", "9" * 30, "9" * 19, "2001.x", "'"])
def test_explain_of_a_name_that_means_nothing_is_nothing(audit: Audit, name: str) -> None:
    """No guess, no error."""
    assert list(explain(audit, name)) == []


def test_timings_count_only_what_a_report_led_to(audit: Audit) -> None:
    """Stages that begin with the leader's report leave out what followed from something else."""
    lines = {(line["stage"], line["account"]): line for line in timings(audit)}
    opens = [line for line in audit.orders() if line["kind"] == "open"]
    whole = lines[("report_to_socket", "all")]
    assert (whole["count"], whole["p50_ms"], whole["p99_ms"]) == (len(opens), "1.000", "1.000")
    parts = ("report_to_decided", "decided_to_committed", "committed_to_written")
    assert [lines[(stage, FIRST)]["p50_ms"] for stage in parts] == ["0.100", "0.800", "0.100"]
    answered = lines[("written_to_answered", "all")]
    assert answered["count"] == len([line for line in audit.orders() if line["outcome"] is not None])
    found = {line["part"]: (line["count"], line["p50"], line["max"]) for line in slippage(audit)}
    # Bought at 1.10010, the leader at 1.10000; decided at 1.10000 / 1.10010: half a pip each, and the fill as quoted.
    assert found == {
        "all": (1, "1.0", "1.0"),
        "delay": (1, "0.5", "0.5"),
        "spread": (1, "0.5", "0.5"),
        "broker": (1, "0.0", "0.0"),
    }
    assert slippage(audit, since_us=parse_time("2030-01-01")) == []


def test_a_close_that_left_before_its_record_counts_where_it_has_a_span() -> None:
    """Of a store that was slow no span is made up: from the decision to the record, and from there to the socket, there
    is none, and what the whole took counts. The story says that it left before its record, and how late."""
    world = World().set_up()
    position = world.leader_opens()
    world.store_is_slow = True
    world.leader_closes(position)
    audit = Audit.of(world.log)
    lines = {line["stage"]: line for line in timings(audit, account=FIRST)}
    assert {stage: (line["count"], line["p50_ms"], line["max_ms"]) for stage, line in lines.items()} == {
        "report_to_decided": (2, "0.100", "0.100"),
        "decided_to_committed": (1, "0.800", "0.800"),
        "committed_to_written": (1, "0.100", "0.100"),
        "report_to_socket": (2, "1.000", "1000.200"),
        "written_to_answered": (2, "10.000", "10.000"),
    }
    close = next(line["decision_id"] for line in audit.decisions(Filters(account=FIRST)) if line["kind"] == "closed")
    told = [line["what"] for line in next(explain(audit, close))["timeline"]]
    assert "sent before its record, since the store was slow: on the socket 1000.100 ms after the decision" in told


def test_what_a_followers_own_fill_led_to_is_not_from_the_leaders_report() -> None:
    """A close that waited for its open to fill has spans since that fill, which is no report of the leader's: only the
    broker's answer to it counts, and for people with their own SQL it has no time from a report to its socket."""
    world = World(measures_all=True).set_up()
    world.silent.add(FIRST)
    position = world.leader_opens()
    opened = one_request(world)
    world.leader_closes(position, 4_000_000)
    world.silent.clear()
    world.answer(FIRST, opened)
    audit = Audit.of(world.log)
    assert [(line["kind"], line["outcome"]) for line in audit.orders(Filters(account=FIRST))] == [
        ("open", "confirmed"),
        ("close", "confirmed"),
    ]
    counts = {line["stage"]: line["count"] for line in timings(audit, account=FIRST)}
    assert (counts["report_to_socket"], counts["written_to_answered"]) == (1, 2)
    told = list(audit.views.execute("SELECT kind, report_to_socket_ms FROM requests WHERE account = ?", [FIRST]))
    assert told == [("open", 1.0), ("close", None)]


def test_an_answer_that_was_no_longer_waited_for_counts_with_all_its_time() -> None:
    """The slowest answers are those that come after the wait for them is over; they are not left out."""
    world = World().set_up()
    world.silent.add(FIRST)
    world.leader_opens()
    intent = one_request(world).intent
    world.tick(10_000_000)
    world.fact(FIRST, IntentOverdue(intent=intent, why="no answer"))
    world.tick(2_000_000)
    world.fact(FIRST, RequestRefused(intent=intent, error_code="MARKET_CLOSED"))
    audit = Audit.of(world.log)
    lines = {line["stage"]: line for line in timings(audit, account=FIRST)}
    assert (lines["written_to_answered"]["count"], lines["written_to_answered"]["max_ms"]) == (1, "12030.000")
    (story,) = explain(audit, next(audit.decisions(Filters(account=FIRST)))["decision_id"])
    assert "refused by the broker, 12030.000 ms after it was sent" in [line["what"] for line in story["timeline"]]


@pytest.mark.parametrize("why", ["the connection was lost", "cmam was started again"])
def test_what_is_heard_of_a_request_after_a_cut_is_no_answer_to_it(why: str) -> None:
    """The line on which it would have come was gone: how long the broker took is not known."""
    world = World().set_up()
    world.silent.add(FIRST)
    world.leader_opens()
    intent = one_request(world).intent
    world.fact(FIRST, IntentOverdue(intent=intent, why=why))
    world.fact(FIRST, RequestRefused(intent=intent, error_code="MARKET_CLOSED"))
    assert "written_to_answered" not in {line["stage"] for line in timings(Audit.of(world.log), account=FIRST)}


def test_a_position_that_goes_by_itself_answers_no_request() -> None:
    """A stop of the follower's own is reached while a close is under way: that request is over, and was not answered,
    nor accepted."""
    world = World().set_up()
    position = world.leader_opens()
    world.silent.add(FIRST)
    world.leader_closes(position)
    world.silent.clear()
    (held,) = world.views[FIRST].positions.values()
    world.person_closes(FIRST, held.volume)
    audit = Audit.of(world.log)
    close = next(line for line in audit.orders(Filters(account=FIRST)) if line["kind"] == "close")
    assert (close["outcome"], close["reason"]) == ("confirmed", "the position is gone")
    counts = {line["stage"]: line["count"] for line in timings(audit, account=FIRST)}
    assert counts["written_to_answered"] == 1
    told = [line["what"] for story in explain(audit, close["intent"]) for line in story["timeline"]]
    assert "confirmed (the position is gone), 0.00 filled" in told
    assert len([line for line in told if line.startswith("accepted")]) == 1


def one_request(world: World) -> IntentRecorded:
    """The first request of the first follower."""
    events = (record.event for record in world.log.read_stream(f"account:{FIRST}"))
    return next(event for event in events if isinstance(event, IntentRecorded))


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01", 0),
        ("1970-01-01T01:00:00.5+01:00", 500_000),
        ("2020-01-01 00:00", 1_577_836_800_000_000),
    ],
)
def test_times_are_read_in_any_iso_form(text: str, at_us: int) -> None:
    """UTC unless it says otherwise; to the microsecond."""
    assert parse_time(text) == at_us


def test_times_are_shown_to_the_millisecond_in_utc() -> None:
    """The form that commands show, also far in the future, and nothing where there is nothing."""
    assert iso(1_577_836_800_123_456) == "2020-01-01T00:00:00.123Z"
    assert iso(0) is None
    with pytest.raises(ValueError, match="expected a time"):
        parse_time("yesterday")


def test_words_find_labels_comments_and_reasons() -> None:
    """All words must occur, each as the beginning of one; what looks like a query language is only words."""
    world = a_day()
    audit = Audit.of(world.log)
    small = list(audit.decisions(Filters(reason="below_minimum")))
    assert list(audit.decisions(Filters(text="below minim"))) == small
    assert list(audit.decisions(Filters(text="EURUSD below"))) == small
    refused = list(audit.orders(Filters(text="not_enough")))
    assert [line["reason"] for line in refused] == ["NOT_ENOUGH_MONEY"]
    assert [line["state"] for line in audit.copies(Filters(text="not_enough"))] == ["refused"]
    assert [line["what"] for line in audit.settings(Filters(text="amount 0.5"))] == ["profile.link_added"] * 2
    for odd in ('"', "* ORACLE *", "NEAR(", "'; drop", "()", "below NOT minimum"):
        assert list(audit.decisions(Filters(text=odd))) == []
    assert list(audit.decisions(Filters(text=" "))) == []


def test_filters_combine_and_the_newest_come_last(audit: Audit) -> None:
    """What several filters leave is what each of them leaves; `last` keeps the order of time."""
    everything = list(audit.decisions())
    both = list(audit.decisions(Filters(account=SECOND, verdict="skip", text="minimum")))
    assert both == [line for line in everything if line["follower"] == SECOND and line["verdict"] == "skip"]
    assert both
    assert list(audit.decisions(Filters(last=3))) == everything[-3:]
    assert list(audit.copies(Filters(last=1))) == list(audit.copies())[-1:]
    assert list(audit.orders(Filters(last=2))) == list(audit.orders())[-2:]
    assert {line["outcome"] for line in audit.orders(Filters(state="refused"))} == {"refused"}


@pytest.mark.parametrize("by", list(GROUPINGS))
def test_totals_count_every_line_once(audit: Audit, by: str) -> None:
    """Whatever they are grouped by, the sums are those of the lists."""
    lines = list(totals(audit, by=[by]))
    decisions, copies, orders = list(audit.decisions()), list(audit.copies()), list(audit.orders())
    assert sum(line["decisions"] for line in lines) == len(decisions)
    assert sum(line["skipped"] for line in lines) == sum(line["verdict"] == "skip" for line in decisions)
    assert sum(sum(line["skips"].values()) for line in lines) == sum(line["skipped"] for line in lines)
    assert sum(line["copies"] for line in lines) == len(copies)
    assert sum(line[name] for line in lines for name in COPY_COUNTS) == len(copies)
    assert sum(line["requests"] for line in lines) == len(orders)


def test_a_leader_and_his_symbol_find_the_requests_of_his_copies(audit: Audit) -> None:
    """As they find copies and decisions; what the operator changed of a leader's profiles is found by him too."""
    orders = list(audit.orders())
    assert list(audit.orders(Filters(account=LEADER))) == orders
    assert list(audit.orders(Filters(account=SECOND))) == [line for line in orders if line["account"] == SECOND]
    audit.views.execute("UPDATE copies SET symbol = 'EURUSD.lead'")
    try:
        assert list(audit.orders(Filters(symbol="eurusd.LEAD"))) == orders
        assert list(audit.orders(Filters(symbol="EURUSD"))) == orders
    finally:
        audit.views.execute("UPDATE copies SET symbol = 'EURUSD'")
    assert [line["what"] for line in audit.settings(Filters(account=LEADER))] == [
        line["what"] for line in audit.settings() if line["profile"]
    ]


@pytest.mark.parametrize("verdict", ["copy", "skip", "none"])
@pytest.mark.parametrize("state", ["closed", "refused", "open"])
def test_verdict_and_state_hold_together_in_every_list(audit: Audit, verdict: str, state: str) -> None:
    """A list without a verdict or a state has what belongs to a decision or a copy that has it."""
    decided = {line["copy_id"] for line in audit.decisions(Filters(verdict=verdict))}
    assert {line["copy_id"] for line in audit.copies(Filters(verdict=verdict))} <= decided
    assert {line["copy_id"] for line in audit.orders(Filters(verdict=verdict))} <= decided
    in_state = {line["copy_id"] for line in audit.copies(Filters(state=state))}
    assert {line["copy_id"] for line in audit.decisions(Filters(state=state))} == in_state
    both = {line["copy_id"] for line in audit.decisions(Filters(verdict=verdict, state=state))}
    assert both == decided & in_state


def test_slippage_is_told_whatever_the_levels_follow() -> None:
    """With `levels = price` the copy's levels have no shift; its fill was worse than the leader's all the same."""
    world = World().set_up()
    at_the_price = {"volume.amount": "0.5", "levels": "price"}
    world.write_profile(LinkSettingsChanged(link=LINKS[FIRST], settings=at_the_price))
    world.leader_opens(10_000_000)
    past = Audit.of(world.log)
    (line,) = past.copies(Filters(account=FIRST))
    assert (line["leader_price"], line["open_price"], line["slippage_pips"]) == ("1.10000", "1.10010", "1.0")
    assert {one["part"]: one["p50"] for one in slippage(past, account=FIRST)}["all"] == "1.0"


def test_slippage_that_adds_up_to_nothing_has_no_sign() -> None:
    """Fills as much better as others are worse: what floats leave of their sum is not shown as minus nothing."""
    world = World().set_up()
    for _ in range(3):
        world.leader_opens(10_000_000)
    past = Audit.of(world.log)
    for position, at in enumerate(("1.09996", "1.10007", "1.10000"), 1):
        past.views.execute("UPDATE copies SET open_price = ?, leader_price = '1.10001' WHERE rowid = ?", [at, position])
    (line,) = totals(past, Filters(account=FIRST), by=["all"])
    assert (line["copies"], line["slippage_pips"]) == (3, "0.00")


@pytest.mark.parametrize("resting", [1, 2])
def test_the_causes_of_an_average_slippage_add_up_to_it(resting: int) -> None:
    """What a resting order fills at was decided by its price, so no quote splits it: that part has its own word. The
    causes were averages over fewer copies than the whole, or `None`, and no sum of them was it."""
    world = World().set_up()
    for _ in range(2):
        world.leader_opens(10_000_000)
    past = Audit.of(world.log)
    no_quotes = "decided_bid = NULL, decided_ask = NULL, leader_bid = NULL, leader_ask = NULL"
    past.views.execute(f"UPDATE copies SET open_price = '1.10040', {no_quotes} WHERE rowid <= ?", [resting])
    (line,) = totals(past, Filters(account=FIRST))
    parts = [line[f"slippage_{name}_pips"] for name in ("delay", "spread", "broker", "other")]
    assert (line["slippage_pips"], parts) == {
        1: ("2.50", ["0.25", "0.25", "0.00", "2.00"]),
        2: ("4.00", ["0.00", "0.00", "0.00", "4.00"]),
    }[resting]


def test_totals_measure_fills_slippage_and_drift() -> None:
    """Two opens, one refused: half of what was asked for was filled; half a step is held beyond a target."""
    world = World(amount="0.03").set_up()
    one = world.leader_opens(10_000_000)  # 3,000 units
    world.leader_closes(one, 5_000_000)  # 1,500 of them: 1,000 are closed, 500 carried
    world.refuses.add(FIRST)
    world.leader_opens(10_000_000)
    (line,) = totals(Audit.of(world.log), Filters(account=FIRST))
    assert (line["profile"], line["follower"], line["copies"]) == ("Main", FIRST, 2)
    assert (line["open"], line["refused"], line["requests"]) == (1, 1, 3)
    assert line["fill_rate"] == "0.5000"
    assert (line["slippage_pips"], line["slippage_delay_pips"], line["slippage_broker_pips"]) == (
        "1.00",
        "0.50",
        "0.00",
    )
    assert (line["drifting"], line["drift"]) == (1, "500.00")
    assert line["volume"] is None
    (symbol,) = totals(Audit.of(world.log), Filters(account=FIRST), by=["symbol"])
    assert (symbol["symbol"], symbol["volume"], symbol["leader_volume"]) == ("EURUSD", "3000.00", "200000.00")
