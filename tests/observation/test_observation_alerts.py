"""Alerts: told once a minute, in batches, in four formats, to receivers that may be slow, ill or away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs
import pytest
from webhook_receiver import Receiver

from grinder.config.choices import AlertFormat, AlertLevel
from grinder.errors import ConfigError
from grinder.observation.alerts import (
    CRITICAL,
    INFO,
    LEVELS,
    NS,
    WARNING,
    Alert,
    Alerts,
    DeliveryFailed,
    LogSink,
    Told,
)
from grinder.observation.redaction import redacted
from grinder.observation.webhooks import FORMATS, WebhookSink, webhook_sinks

FAST = (0.001, 0.001, 0.001)


@attrs.define
class Kept:
    """A receiver in memory; `refuses` so many deliveries first."""

    name: str = "kept"
    level: str = INFO
    refuses: int = 0
    tries: int = 0
    blocks: threading.Event | None = None
    batches: list[list[Told]] = attrs.field(factory=list)

    def deliver(self, batch: list[Told]) -> None:
        self.tries += 1
        if self.blocks is not None:
            self.blocks.wait(5)
        if self.tries <= self.refuses:
            raise DeliveryFailed("HTTP 500")
        self.batches.append(batch)


def until(true: Callable[[], bool], seconds: float = 3.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


def stream_stale(symbol: str = "BTCUSDT", level: str = WARNING) -> Alert:
    return Alert(level, "stream_stale", symbol, "nothing came for 20 s", {"age_s": "20"})


class Clock:
    def __init__(self) -> None:
        self.now_ns = 10**18

    def __call__(self) -> int:
        return self.now_ns


def test_the_same_kind_and_symbol_is_told_once_a_minute_and_the_rest_is_counted() -> None:
    clock, kept, counted = Clock(), Kept(), []
    alerts = Alerts([kept], clock, batch_s=0, counted=lambda level, told: counted.append(told))
    for second in (0, 1, 59.999):
        clock.now_ns = 10**18 + int(second * NS)
        alerts(stream_stale())
        alerts(stream_stale("ETHUSDT"))
    clock.now_ns = 10**18 + 60 * NS
    alerts(stream_stale())
    alerts.close()
    told = [(one.alert.symbol, one.held_back) for batch in kept.batches for one in batch]
    assert told == [("BTCUSDT", 0), ("ETHUSDT", 0), ("BTCUSDT", 2)]
    assert counted == [True, True, False, False, False, False, True]


def test_alerts_wait_for_each_other_and_a_critical_one_for_nobody() -> None:
    kept = Kept()
    alerts = Alerts([kept], batch_s=0.05)
    for symbol in ("A", "B", "C"):
        alerts(stream_stale(symbol))
    assert kept.batches == []
    until(lambda: len(kept.batches) == 1)
    alerts(stream_stale("D"))
    alerts(Alert(CRITICAL, "halt", text="stop"))
    until(lambda: len(kept.batches) == 2)
    alerts.close()
    assert [[one.alert.symbol for one in batch] for batch in kept.batches] == [["A", "B", "C"], ["D", ""]]


def test_an_alert_goes_to_those_who_want_its_level() -> None:
    pager, channel = Kept("pager", CRITICAL), Kept("channel", WARNING)
    alerts = Alerts([pager, channel, LogSink()], batch_s=0)
    alerts(Alert(INFO, "a"))
    alerts(Alert(WARNING, "b"))
    alerts(Alert(CRITICAL, "c"))
    alerts.close()
    assert [one.alert.kind for batch in pager.batches for one in batch] == ["c"]
    assert [one.alert.kind for batch in channel.batches for one in batch] == ["b", "c"]


def test_a_receiver_is_tried_four_times() -> None:
    delivered: list[tuple[str, int, bool]] = []
    heals, dead = Kept("heals", refuses=3), Kept("dead", refuses=99)
    alerts = Alerts(
        [heals, dead], batch_s=0, waits_s=FAST, delivered=lambda *outcome: delivered.append(outcome)
    )
    alerts(stream_stale())
    until(lambda: len(delivered) == 2)
    alerts.close()
    assert sorted(delivered) == [("dead", 1, False), ("heals", 1, True)]
    assert (heals.tries, dead.tries) == (4, 4)


def test_telling_never_waits_for_a_receiver_and_memory_stays_bounded() -> None:
    blocked = Kept(blocks=threading.Event())
    alerts = Alerts([blocked], batch_s=0, repeat_ns=0)
    for number in range(3_000):  # one that waited would not come to an end
        alerts(stream_stale(str(number)))
    assert alerts._waiting["kept"] == 1_000
    assert blocked.blocks is not None
    blocked.blocks.set()
    alerts.close()
    assert sum(map(len, blocked.batches)) == 1_000


def test_a_level_that_is_none_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="INFO, WARNING or CRITICAL"):
        Alerts([])(Alert("warning", "x"))


# --- over the wire -------------------------------------------------------------------------------------


def sent(kind: str, *alerts: Alert, statuses: tuple[int, ...] = (), query: str = "") -> Receiver:
    with Receiver() as receiver:
        receiver.statuses = list(statuses)
        sink = WebhookSink("ops", receiver.url + query, kind, "info", run="runs/btc")
        wanted = sum(LEVELS[alert.level] >= LEVELS[sink.level] for alert in alerts)
        outcomes: list[int] = []
        told = Alerts(
            [sink], Clock(), batch_s=0.02, waits_s=FAST, delivered=lambda name, n, taken: outcomes.append(n)
        )
        for alert in alerts:
            told(alert)
        until(lambda: sum(outcomes) == wanted)
        told.close()
    return receiver


def test_the_generic_format_is_one_object_with_all_alerts() -> None:
    receiver = sent("generic", stream_stale(), stream_stale("ETHUSDT"))
    assert receiver.bodies == [
        {
            "source": "grinder",
            "run": "runs/btc",
            "alerts": [
                {
                    "ts": "2001-09-09T01:46:40.000Z",
                    "level": "WARNING",
                    "kind": "stream_stale",
                    "symbol": symbol,
                    "text": "nothing came for 20 s",
                    "detail": {"age_s": "20"},
                    "held_back": 0,
                }
                for symbol in ("BTCUSDT", "ETHUSDT")
            ],
        }
    ]


def test_slack_gets_a_text_in_which_nothing_is_a_mention() -> None:
    receiver = sent("slack", Alert(WARNING, "x", text="<!channel> & more"))
    assert receiver.bodies == [{"text": "runs/btc\n⚠️ WARNING x: &lt;!channel&gt; &amp; more"}]


def test_discord_gets_content_of_at_most_two_thousand_characters_and_mentions_nobody() -> None:
    receiver = sent("discord", *(Alert(WARNING, f"k{n}", text="@everyone " + "x" * 900) for n in range(4)))
    assert len(receiver.bodies) == 2
    for body in receiver.bodies:
        assert body["allowed_mentions"] == {"parse": []}
        assert 0 < len(body["content"]) <= 2000
    assert [f"k{n}" in "".join(body["content"] for body in receiver.bodies) for n in range(4)] == [True] * 4


def test_pagerduty_gets_an_event_for_each_critical_alert_with_the_key_in_its_body() -> None:
    receiver = sent(
        "pagerduty",
        Alert(CRITICAL, "halt", "BTCUSDT", "stop"),
        stream_stale(),
        query="?routing_key=R0UTINGKEY",
    )
    (event,) = receiver.bodies
    assert receiver.queries == [""]
    assert event["routing_key"] == "R0UTINGKEY"
    assert event["event_action"] == "trigger"
    assert event["dedup_key"] == "grinder/runs/btc/halt/BTCUSDT"
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["source"] == "runs/btc"
    assert event["payload"]["summary"] == "CRITICAL halt BTCUSDT: stop"


def test_a_retry_goes_on_where_the_batch_stopped() -> None:
    messages = [Alert(WARNING, f"k{n}", text="x" * 1500) for n in range(3)]
    receiver = sent("discord", *messages, statuses=(200, 500, 429, 200))
    assert len(receiver.bodies) == 3
    assert [f"k{n}" in receiver.bodies[n]["content"] for n in range(3)] == [True] * 3


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_any_answer_but_a_success_is_a_failure_and_no_redirection_is_followed(status: int) -> None:
    with Receiver() as receiver:
        receiver.statuses = [status]
        sink = WebhookSink("ops", receiver.url, "generic")
        with pytest.raises(DeliveryFailed, match=f"HTTP {status}"):
            sink.deliver([Told(stream_stale(), 0)])


def test_a_failure_never_shows_the_address() -> None:
    sink = WebhookSink("ops", "http://127.0.0.1:9/T0KEN-in-the-path", "generic")
    with pytest.raises(DeliveryFailed) as found:
        sink.deliver([Told(stream_stale(), 0)])
    assert "T0KEN" not in str(found.value)
    assert "T0KEN" not in redacted("posting to http://127.0.0.1:9/T0KEN-in-the-path failed")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ftp://example.org/x", "generic"),
        ("not an address", "slack"),
        ("http://example.org/hook", "slack"),
        ("https:///hook", "discord"),
        ("https://example.org/v2/enqueue", "pagerduty"),
        ("http://[::1/x", "generic"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_being_shown(url: str, kind: str) -> None:
    with pytest.raises(ConfigError) as found:
        WebhookSink("ops", url, kind)
    assert found.value.code == "alert.webhook"
    assert url not in found.value.render()


def test_receivers_are_made_from_the_configuration_and_the_environment() -> None:
    @attrs.frozen
    class Webhook:
        url_from: str
        format: AlertFormat
        level: AlertLevel

    alerts = {one.value: Webhook("HOOK", one, AlertLevel.INFO) for one in AlertFormat}
    environment = {"HOOK": "https://example.org/hook?routing_key=abcdefgh"}
    sinks = webhook_sinks(alerts, environment, "runs/btc")
    assert [(sink.name, sink.level) for sink in sinks] == [
        ("generic", INFO),
        ("slack", INFO),
        ("discord", INFO),
        ("pagerduty", CRITICAL),
    ]
    assert set(FORMATS) == {one.value for one in AlertFormat}
    with pytest.raises(ConfigError, match="HOOK"):
        webhook_sinks(alerts, {}, "runs/btc")


def test_what_is_told_last_is_delivered_before_the_end() -> None:
    with Receiver() as receiver:
        alerts = Alerts([WebhookSink("ops", receiver.url, "generic")], batch_s=60)
        alerts(stream_stale())
        assert receiver.bodies == []
        alerts.close()
        assert len(receiver.bodies) == 1


def test_the_end_does_not_wait_for_a_receiver_that_hangs() -> None:
    blocked = Kept(blocks=threading.Event())
    alerts = Alerts([blocked], batch_s=0)
    alerts(stream_stale())
    alerts.close(timeout_s=0.1)  # one that waited would not come to an end
    assert blocked.blocks is not None
    blocked.blocks.set()
