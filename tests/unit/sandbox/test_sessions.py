"""Connections: heartbeats, idle rules, what is legal before what, and what is answered to nonsense
(wire.md#silence)."""

from __future__ import annotations

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from tests.unit.sandbox.bench import BETA_YEN, LEADER, LIVE, TYPES, Bench

HEARTBEAT, ERROR, SPOT = 51, 2142, 2131


def beat(bench: Bench, number: int) -> None:
    """Send a heartbeat."""
    bench.broker.receive(number, HEARTBEAT, b"", None, bench.now_us)
    bench.collect()


def test_heartbeats_are_taken_at_any_time_and_never_echoed() -> None:
    """A heartbeat before any authorisation is no error, and is not answered."""
    bench = Bench()
    line = bench.connect()
    for _ in range(5):
        beat(bench, line.number)
    assert line.inbox == []
    assert line.closed is None


def test_the_server_beats_after_25_s_of_its_own_silence() -> None:
    """One heartbeat 25 s after the last word of the server, and again 25 s later."""
    bench = Bench()
    line = bench.login(LEADER)
    for second in range(1, 51):
        bench.pass_time(1)
        beat(bench, line.number)
        beats = [kind for kind, _, _ in line.inbox if kind == HEARTBEAT]
        assert len(beats) == (second >= 25) + (second >= 50)


def test_an_idle_connection_is_closed_after_30_s() -> None:
    """30 s after the last message of an authorised client the line is closed, not before."""
    bench = Bench()
    line = bench.login(LEADER)
    bench.pass_time(20)
    beat(bench, line.number)
    bench.pass_time(29.999)
    assert line.closed is None
    bench.pass_time(0.001)
    assert line.closed is not None
    assert line.closed.reason == "idle"


def test_an_unauthorised_connection_is_closed_after_30_s_whatever_it_sends() -> None:
    """Heartbeats do not keep a connection that never authorises its application."""
    bench = Bench()
    line = bench.connect()
    for _ in range(29):
        bench.pass_time(1)
        beat(bench, line.number)
    assert line.closed is None
    bench.pass_time(1)
    assert line.closed is not None


def test_requests_before_the_application_is_authorised() -> None:
    """Anything but application auth, version and refresh is CH_CLIENT_NOT_AUTHENTICATED; the line stays."""
    bench = Bench()
    line = bench.connect()
    refused = line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER))
    assert refused.errorCode == "CH_CLIENT_NOT_AUTHENTICATED"
    assert line.ask(messages.ProtoOAVersionReq()).version
    assert line.ask(messages.ProtoOARefreshTokenReq(refreshToken="x")).errorCode == "CH_ACCESS_TOKEN_INVALID"
    assert line.closed is None


def test_an_account_that_is_not_open_here() -> None:
    """The recorded code and text, on ErrorRes, for reads and for trades; a switch gives the other code."""
    for code in ("INVALID_REQUEST", "ACCOUNT_NOT_AUTHORIZED"):
        bench = Bench(account_not_authorised_code=code)
        line = bench.login(LEADER)
        for request in (
            messages.ProtoOATraderReq(ctidTraderAccountId=BETA_YEN),
            messages.ProtoOAClosePositionReq(ctidTraderAccountId=BETA_YEN, positionId=1, volume=1),
        ):
            line.send(request)
            kind, body, _ = line.inbox[-1]
            assert (kind, body.errorCode) == (ERROR, code)
            assert body.description == "Trading account is not authorized"


def test_unknown_types_and_undecodable_payloads() -> None:
    """UNSUPPORTED_MESSAGE and INVALID_REQUEST with the client's id; the connection stays."""
    bench = Bench()
    line = bench.login(LEADER)
    bench.broker.receive(line.number, 2999, b"", "a", bench.now_us)
    bench.broker.receive(line.number, 2126, b"", "b", bench.now_us)
    bench.broker.receive(line.number, 2121, b"\xff\xff", "c", bench.now_us)
    bench.broker.receive(line.number, 2121, b"", "d", bench.now_us)
    bench.collect()
    found = [(msg_id, body.errorCode) for _, body, msg_id in line.inbox]
    assert found == [
        ("a", "UNSUPPORTED_MESSAGE"),
        ("b", "UNSUPPORTED_MESSAGE"),
        ("c", "INVALID_REQUEST"),
        ("d", "INVALID_REQUEST"),
    ]
    assert "ctidTraderAccountId" in line.inbox[-1][1].description
    assert line.closed is None


def test_the_common_carrier_of_unknown_types_is_a_switch() -> None:
    """With the switch, UNSUPPORTED_MESSAGE comes as ProtoErrorRes, type 50."""
    bench = Bench(unknown_type_carrier="common")
    line = bench.login(LEADER)
    bench.broker.receive(line.number, 2999, b"", "a", bench.now_us)
    bench.collect()
    assert [(kind, body.errorCode) for kind, body, _ in line.inbox] == [(50, "UNSUPPORTED_MESSAGE")]


def test_garbage_is_answered_and_the_line_closed() -> None:
    """INVALID_REQUEST with what was wrong, then the close."""
    bench = Bench()
    line = bench.connect()
    bench.broker.receive_garbage(line.number, "Malformed JSON message at 1:6", bench.now_us)
    bench.collect()
    ((kind, body, _),) = line.inbox
    assert (kind, body.errorCode, body.description) == (ERROR, "INVALID_REQUEST", "Malformed JSON message at 1:6")
    assert line.closed is not None


def test_what_is_too_long_is_named_so_in_every_shape() -> None:
    """A frame and a line above the cap: FRAME_TOO_LONG, whatever the words."""
    for what in ("expected a frame of at most 9 bytes", "expected a line of at most 9 bytes"):
        bench = Bench()
        line = bench.connect()
        bench.broker.receive_garbage(line.number, what, bench.now_us, is_too_long=True)
        bench.collect()
        assert [(kind, body.errorCode) for kind, body, _ in line.inbox] == [(ERROR, "FRAME_TOO_LONG")]
        assert line.closed is not None


def test_repeated_ids_and_text_that_is_not_utf_8_do_no_harm() -> None:
    """An id may come twice; bytes in a text field are refused as invalid."""
    bench = Bench()
    line = bench.login(LEADER)
    request = messages.ProtoOATraderReq(ctidTraderAccountId=LEADER).SerializeToString()
    for _ in range(2):
        bench.broker.receive(line.number, 2121, request, "same", bench.now_us)
    bench.collect()
    assert [(kind, msg_id) for kind, _, msg_id in line.inbox] == [(2122, "same")] * 2
    order = messages.ProtoOANewOrderReq(
        ctidTraderAccountId=LEADER, symbolId=1, orderType="MARKET", tradeSide="BUY", volume=100_000
    )
    payload = order.SerializeToString() + b"\x82\x01\x02\xff\xfe"  # field 16, label
    bench.broker.receive(line.number, 2106, payload, "label", bench.now_us)
    bench.collect()
    assert line.inbox[-1][1].errorCode == "INVALID_REQUEST"


def test_a_connection_serves_its_environment_only() -> None:
    """An account of the other environment cannot be routed; a connection without an environment serves both."""
    bench = Bench()
    demo, both = bench.login(environment="demo"), bench.login()
    auth = messages.ProtoOAAccountAuthReq(ctidTraderAccountId=LIVE, accessToken=bench.token(LIVE))
    refused = demo.ask(auth)
    assert (refused.errorCode, refused.description) == ("CANT_ROUTE_REQUEST", "Cannot route request")
    assert isinstance(both.ask(auth), TYPES[2103])


def test_subscriptions_and_accounts_end_with_the_connection() -> None:
    """After a disconnect nothing is sent to the old number, and nothing of it is kept."""
    bench = Bench()
    line = bench.login(LEADER)
    line.ask(messages.ProtoOASubscribeSpotsReq(ctidTraderAccountId=LEADER, symbolId=[1]))
    bench.broker.disconnect(line.number, bench.now_us)
    line.inbox.clear()
    bench.pass_time(10)
    assert line.inbox == []
    assert not bench.broker.floor.accounts[LEADER].listeners


def test_a_broker_that_is_late_answers_between_the_turns_in_which_it_catches_up() -> None:
    """A market that is too fast for its machine would otherwise be played for ever before the first answer."""
    bench = Bench()
    line = bench.login(LEADER)
    bench.broker.turn = 7
    bench.pass_time(60)
    late = bench.broker.next_deadline()
    assert late is not None
    assert late < bench.now_us - 50_000_000
    assert line.ask(messages.ProtoOAVersionReq()).version
    turns = 0
    while (due := bench.broker.next_deadline()) is not None and due <= bench.now_us:
        bench.pass_time(0)
        turns += 1
    assert turns > 50
    assert bench.broker.floor.now_us == bench.now_us
