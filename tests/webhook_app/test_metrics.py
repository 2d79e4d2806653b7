"""Prometheus metrics, without personal data or names that strangers chose."""

import re
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import redis
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.rig.processes import free_port
from tests.world import make_store
from webhook_app.app import create_app
from webhook_app.metrics import PREFIX
from webhook_app.parts import Parts
from webhook_app.receiver.delivery_log import REASONS
from webhook_app.sources.config import read_source
from worker.log_limit import BURST
from worker.model import Attempt, AttemptResult, Contact, Decided, Origin, Outcome, Signal, State, UpstreamPolicy
from worker.store import keys
from worker.store.connection import connect
from worker.store.counters import MESSAGES_DROPPED

ROOT = Path(__file__).parents[2]
SECRET = "a-secret-of-the-tests"
SOURCE = {
    "verify": "token",
    "secret": SECRET,
    "inbox_id": 1,
    "map": {"identifier": "$.id"},
    "only_if": {"$.event": ["signup"]},
    "max_bytes": 1024,
}
SOURCES = {
    "app": read_source("app", SOURCE, {}),
    "other": read_source("other", {**SOURCE, "map": {"identifier": "$.id", "email": "$.email"}}, {}),
    "strict": read_source("strict", {**SOURCE, "on_invalid": "reject"}, {}),
    "hook": read_source("hook", {**SOURCE, "on_invalid": "reject", "blocking": False}, {}),
}
RATE = 10.0


class Web:
    """A web process without threads, which writes its counts before each scrape."""

    def __init__(self, client: redis.Redis, token: str | None = None) -> None:
        self.store = make_store(client, policy=UpstreamPolicy(RATE))
        self.parts = Parts(store=self.store, sources=SOURCES, metrics_token=token, metrics_open=token is None)
        self.http: FlaskClient = create_app(self.parts).test_client()

    def deliver(self, name: str, document: Any, *, secret: str = SECRET, **options: Any) -> int:
        headers = {"Authorization": f"Bearer {secret}"}
        return self.http.post(f"/webhooks/{name}", json=document, headers=headers, **options).status_code

    def bring(self, identifier: str, verdict: AttemptResult) -> None:
        self.store.contacts.accept(Contact(identifier, 1), Origin("app"))
        claim = self.store.contacts.claim(self.store.key_of(identifier), token_hex(8))
        assert claim is not None
        self.store.contacts.finish(claim, verdict, Attempt(claim.now, 1))

    def text(self) -> str:
        self.parts.store.counters.flush()
        answer = self.http.get("/metrics")
        assert answer.status_code == 200
        assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
        return answer.text

    def figures(self) -> dict[tuple[str, ...], float]:
        """Return samples by name, without our prefix, and label values, source first."""
        return {
            (
                sample.name.removeprefix(PREFIX),
                *dict(sorted(sample.labels.items(), reverse=True)).values(),
            ): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }


@pytest.fixture
def web(client: redis.Redis) -> Iterator[Web]:
    return Web(client)  # type: ignore[return-value]


def signup(identifier: object) -> dict[str, object]:
    return {"event": "signup", "id": identifier}


def test_deliveries_are_counted_by_source_and_result(web: Web) -> None:
    for identifier in ("ada", "ada", "bob"):
        assert web.deliver("app", signup(identifier)) == 200
    web.deliver("app", {"event": "login", "id": "cyd"})
    web.deliver("app", signup(["no", "identifier"]))
    figures = web.figures()
    assert {name: figures["deliveries_total", "app", name] for name in ("accepted", "duplicate", "ignored")} == {
        "accepted": 2,
        "duplicate": 1,
        "ignored": 1,
    }
    assert (figures["deliveries_total", "app", "quarantined"], figures["quarantined_deliveries",]) == (1, 1)
    assert figures["accept_duration_seconds_count",] == figures["accept_duration_seconds_bucket", "+Inf"] == 5
    assert 0 < figures["accept_duration_seconds_sum",] < 5
    assert (figures["contacts", "pending"], figures["queue_length",]) == (2, 2)


def test_messages_that_workers_dropped_are_counted(web: Web) -> None:
    assert web.figures()["messages_dropped_total",] == 0
    web.store.counters.add(MESSAGES_DROPPED, 3)
    web.store.counters.flush()
    assert web.figures()["messages_dropped_total",] == 3


def test_refusals_are_counted_by_source_and_reason(web: Web) -> None:
    assert web.deliver("ada@example.com", {}) == 404
    assert web.deliver("app/x", signup("ada")) == 404
    assert web.http.get("/webhooks/app/ada@example.com").status_code == 404
    assert web.deliver("app", {}, secret="another one") == 401
    assert web.deliver("strict", signup(["no", "identifier"])) == 422
    assert web.deliver("app", {"id": "x" * 2000}) == 413
    secret = {"Authorization": f"Bearer {SECRET}"}
    assert web.http.post("/webhooks/app", data="{", headers=secret).status_code == 400
    assert web.http.post("/webhooks/app", data="<a/>", content_type="text/xml", headers=secret).status_code == 415
    assert web.http.put("/webhooks/app").status_code == 405
    told = {labels[1:]: number for labels, number in web.figures().items() if labels[0] == "deliveries_refused_total"}
    assert {reason for _, reason in told} == {"no_source", *REASONS}
    refused = {labels: number for labels, number in told.items() if number}
    assert refused == {
        ("", "no_source"): 3,
        ("app", "unauthentic"): 1,
        ("strict", "unmappable"): 1,
        ("app", "too_large"): 1,
        ("app", "bad_body"): 1,
        ("app", "wrong_type"): 1,
        ("app", "wrong_method"): 1,
    }


def test_clashes_are_counted_and_those_that_wait_are_shown(web: Web) -> None:
    assert not [labels for labels in web.figures() if labels[0].startswith("clash")]
    for identifier in ("1", "2"):
        web.deliver("app", signup(identifier))
        web.deliver("other", {**signup(identifier), "email": "jane@example.com"})
    figures = web.figures()
    assert (figures["clashing_deliveries", "other", "app"], figures["clashes_total", "other", "app"]) == (2, 2)
    entry = web.store.quarantine.page()[0].entry
    web.store.quarantine.release(entry)
    figures = web.figures()
    assert (figures["clashing_deliveries", "other", "app"], figures["clashes_total", "other", "app"]) == (1, 2)
    assert "@example.com" not in web.text()


def test_what_was_decided_without_an_operator_is_counted(web: Web) -> None:
    known = Decided("known", "linked to LiveDesk contact 7 as known", "it had the same e-mail address")
    assert web.figures()["decisions_total", "known"] == 0
    for identifier in ("ada", "bob"):
        result = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.KNOWN, decided=known)
        web.bring(identifier, result)
    figures = web.figures()
    assert {labels[1]: number for labels, number in figures.items() if labels[0] == "decisions_total"} == {
        "adopt": 0,
        "promote": 0,
        "known": 2,
        "without": 0,
    }


def test_a_lost_signup_is_counted(web: Web) -> None:
    assert web.figures()["deliveries_total", "hook", "lost"] == 0, "else Prometheus would not see the first one"
    assert web.deliver("hook", signup(["no", "identifier"])) == 200
    assert web.figures()["deliveries_total", "hook", "lost"] == 1


def test_a_delivery_is_a_line_without_personal_data(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    web.store.salt()  # its creation is a line, too
    caplog.clear()
    with caplog.at_level("DEBUG", "webhook_app.receiver.delivery_log"):
        web.deliver("app", signup("ada@example.com"))
        web.deliver("bob@example.com", {})
        web.deliver("app", {}, secret="eve@example.com")
    taken, unknown, unauthentic = caplog.messages
    key = web.store.key_of("ada@example.com")
    assert re.fullmatch(rf"delivery source=app result=accepted key={re.escape(key)} duration_ms=[\d.]+", taken)
    assert re.fullmatch(r'delivery source="" result=refused reason=no_source status=404 duration_ms=[\d.]+', unknown)
    assert re.fullmatch(
        r"delivery source=app result=refused reason=unauthentic status=401 duration_ms=[\d.]+", unauthentic
    )
    assert "@example.com" not in caplog.text + web.text()


def test_strangers_do_not_fill_the_log(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    web.store.salt()
    caplog.clear()
    with caplog.at_level("INFO"):
        for number in range(20):
            web.deliver("app", {}, secret=f"wrong secret {number}")
            web.deliver(f"source-{number}", {})
            web.http.put("/webhooks/app")
            web.http.get(f"/there-is-nothing-{number}")
    assert len(caplog.messages) == 3 * BURST
    figures = web.figures()
    assert figures["deliveries_refused_total", "app", "unauthentic"] == 20
    assert figures["deliveries_refused_total", "app", "wrong_method"] == 20
    assert figures["deliveries_refused_total", "", "no_source"] == 20


def test_a_batch_is_one_line_and_counts_each_element(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    web.store.salt()  # its creation is a line, too
    caplog.clear()
    with caplog.at_level("DEBUG", "webhook_app.receiver.delivery_log"):
        web.deliver("app", [signup("ada"), signup("bob"), {"event": "login", "id": "cyd"}])
    [line] = caplog.messages
    assert "elements=3" in line
    figures = web.figures()
    assert (figures["deliveries_total", "app", "accepted"], figures["deliveries_total", "app", "ignored"]) == (2, 1)


def test_attempts_are_counted_by_result_and_cause(web: Web) -> None:
    web.bring("ada", AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED))
    web.bring("bob", AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="1"))
    web.bring("cyd", AttemptResult(state=State.RETRYING, cause="http_500", delay_ms=60_000, signal=Signal.ERROR))
    figures = web.figures()
    assert {labels[1]: number for labels, number in figures.items() if labels[0] == "attempts_total"} == {
        "created": 1,
        "conflict": 1,
        "retrying": 1,
        "failed": 0,
        "updated": 0,
        "marked": 0,
        "deleted": 0,
    }
    assert figures["attempts_failed_total", "email_taken"] == figures["attempts_failed_total", "http_500"] == 1
    assert (figures["livedesk_signals_total", "ok"], figures["livedesk_signals_total", "error"]) == (2, 1)
    assert (figures["contacts", "created"], figures["contacts", "conflict"], figures["contacts", "retrying"]) == (
        1,
        1,
        1,
    )


def test_requests_to_livedesk_are_a_histogram(web: Web) -> None:
    for seconds in (0.02, 0.2, 40):
        web.parts.store.counters.took("livedesk", seconds)
    figures = web.figures()
    buckets = {
        bound: figures["livedesk_request_duration_seconds_bucket", bound] for bound in ("0.025", "0.25", "30.0", "+Inf")
    }
    assert buckets == {"0.025": 1, "0.25": 2, "30.0": 2, "+Inf": 3}
    assert figures["livedesk_request_duration_seconds_sum",] == pytest.approx(40.22)


def test_a_stop_a_pause_and_an_unknown_inbox_are_reported(web: Web) -> None:
    figures = web.figures()
    assert (figures["livedesk_state", "up"], figures["livedesk_stopped_seconds",], figures["paused",]) == (1, 0, 0)
    web.bring("bob", AttemptResult(state=State.RETRYING, cause="inbox_not_found", delay_ms=1, signal=Signal.INBOX))
    web.store.shift_ms = 5_000
    web.bring("cyd", AttemptResult(state=State.RETRYING, cause="throttled", delay_ms=1, signal=Signal.THROTTLED))
    web.store.shift_ms = -60_000
    web.store.client.hdel(keys.INBOXES, "1:since", "1:probes", "1:probe_at")
    web.store.client.hset(keys.INBOXES, "2:since", "1")
    web.store.upstream.answered(Signal.OK, None, None, 0)
    web.store.client.hdel(keys.UPSTREAM, "stop", "slot")
    web.bring("dan", AttemptResult(state=State.RETRYING, cause="unauthorized", delay_ms=1, signal=Signal.MISCONFIGURED))
    web.store.upstream.pause("ada@example.com", "a migration")
    web.store.shift_ms = 0
    figures = web.figures()
    assert (figures["livedesk_state", "up"], figures["livedesk_state", "misconfigured"]) == (0, 1)
    assert figures["livedesk_stopped_seconds",] >= 60
    assert (
        figures["paused",],
        figures["livedesk_held_inboxes",],
        figures["pace_requests_per_second",],
        figures["rate_requests_per_second",],
    ) == (1, 1, RATE / 2, RATE)


def test_workers_and_their_backlog_are_reported(web: Web) -> None:
    assert (web.figures()["workers",], ("sweep_age_seconds",) in web.figures()) == (0, False)
    web.store.queue.sweep("one")
    web.store.shift_ms = -90_000
    web.store.queue.sweep("two")
    web.store.contacts.accept(Contact("ada", 1), Origin("app"))
    web.store.shift_ms = 0
    figures = web.figures()
    assert (figures["workers",], figures["sweep_age_seconds",] < 10) == (1, True)
    assert 59 < figures["overdue_seconds",] < 70
    assert 90 <= figures["oldest_pending_age_seconds",] < 100


def test_redis_is_reported(web: Web) -> None:
    figures = web.figures()
    assert figures["durability", "aof"] == 1
    assert sum(number for labels, number in figures.items() if labels[0] == "durability") == 1
    health = web.parts.store.overview.health()
    assert "appendfsync is not always: a power failure loses the last second" in health.warnings
    assert figures["readiness_problems",] == len(health.problems)
    assert figures["readiness_warnings",] == len(health.warnings)
    assert 0 < figures["redis_memory_ratio",] < 1


def test_any_web_process_reports_the_counts_of_all(web: Web, client: redis.Redis) -> None:
    other = Web(client)
    other.deliver("app", {}, secret="another one")
    other.parts.store.counters.flush()
    assert web.figures()["deliveries_refused_total", "app", "unauthentic"] == 1


def test_metrics_need_their_token(client: redis.Redis) -> None:
    http = Web(client, token="the-token-of-metrics").http
    assert http.get("/metrics").status_code == 401
    assert http.get("/metrics", headers={"Authorization": "Bearer another"}).status_code == 401
    assert http.get("/metrics", headers={"Authorization": "Bearer the-token-of-metrics"}).status_code == 200


def test_without_any_setting_metrics_are_off_and_readyz_says_yes_or_no(client: redis.Redis) -> None:
    http = create_app(Parts(store=make_store(client), sources=SOURCES)).test_client()
    answer = http.get("/metrics")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "METRICS_TOKEN" in answer.text
    assert "METRICS_OPEN=yes" in answer.text
    assert http.get("/readyz", headers={"X-Forwarded-For": "127.0.0.1"}).json == {"status": "ready"}


@pytest.mark.parametrize("option", ["metrics_token", "api_token"])
def test_either_token_opens_the_details(option: str, client: redis.Redis) -> None:
    token = "the-token-of-somebody"
    parts = Parts(store=make_store(client), sources=SOURCES, **{option: token})  # type: ignore[arg-type]
    http = create_app(parts).test_client()
    right, wrong = ({"Authorization": f"Bearer {given}"} for given in (token, f"{token}s"))
    assert {"problems", "warnings", "contacts", "livedesk"} <= set(http.get("/readyz", headers=right).json or {})
    assert http.get("/metrics", headers=right).status_code == 200
    assert http.get("/readyz", headers=wrong).json == {"status": "ready"}
    assert http.get("/metrics", headers=wrong).status_code == 401


def test_without_redis_strangers_learn_that_it_is_not_ready_and_nothing_else() -> None:
    with connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1) as away:
        http = create_app(Parts(store=make_store(away), sources=SOURCES)).test_client()
        answer = http.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "not ready"})


def test_without_redis_there_are_no_metrics() -> None:
    with connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1) as away:
        assert Web(away).http.get("/metrics").status_code == 503


def test_metrics_take_a_few_round_trips_and_no_scan(web: Web) -> None:
    web.deliver("app", signup("ada"))
    web.parts.store.counters.flush()
    client = web.store.client
    client.config_resetstat()
    web.http.get("/metrics")
    told: dict[str, Any] = client.info("commandstats")
    asked = {name.removeprefix("cmdstat_") for name in told}
    assert asked <= {
        *("time", "hgetall", "zcard", "zcount", "llen", "zrange", "info", "config|get", "config|resetstat"),
        *("hello", "client|setinfo", "select", "client|maint_notifications"),
        # One script reads what is due, and how many contacts have each cause.
        *("evalsha", "eval", "hget"),
        # What a delivery needs is tried, and undone.
        *("get", "mget", "hmget", "hset", "hdel", "zadd", "zrem", "lpush", "lrem", "del"),
    }
    assert told["cmdstat_hgetall"]["calls"] == 4


# The example of alerts

RULES = ROOT / "docs" / "prometheus-rules.yml"


def exported(web: Web) -> set[str]:
    """Return every name that an expression can use."""
    web.store.queue.sweep("one")  # so that there is a worker
    for name, email in (("app", "ada@example.com"), ("other", "bob@example.com")):
        web.deliver(name, {**signup("7"), "email": email})  # so that there is a clash
    families = list(text_string_to_metric_families(web.text()))
    counters = {f"{family.name}_total" for family in families if family.type == "counter"}
    return counters | {sample.name for family in families for sample in family.samples}


def test_the_example_rules_use_only_existing_metrics(web: Web) -> None:
    names = exported(web)
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert len(rules) > 10
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        asked = set(re.findall(rf"{PREFIX}\w+", rule["expr"]))
        assert asked or "up{" in rule["expr"], rule
        assert asked <= names, f"{rule['alert']} asks for {asked - names}"


def test_the_action_for_each_alert_is_documented() -> None:
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    assert alerts - set(re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text())) == set()


def test_every_metric_is_documented(web: Web) -> None:
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported(web)}
    page = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name in told if f"`{name.removeprefix(PREFIX)}" not in page} == set()
