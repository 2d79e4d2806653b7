"""``GET /metrics``, for Prometheus. ``docs/operations.md`` documents every metric.

Labels are names of sources, which an operator chose, and words of fixed vocabularies: no personal data.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from werkzeug import Response as WerkzeugResponse

from webhook_app.parts import current_parts
from webhook_app.problems import problem, store_away
from webhook_app.receiver import fail_open
from webhook_app.receiver.delivery_log import IGNORED_DELETION, REASONS
from worker.errors import StoreError
from worker.model import Ack, Outcome, Signal, State, Status
from worker.overlap import Choice
from worker.store.counters import BUCKETS_MS, CHANGE_BUCKETS_MS, MESSAGES_DROPPED, EventKind
from worker.store.overview import Figures

PREFIX = "livedesk_sync_"
#: The results of a delivery that is answered with 200.
RESULTS = (*Status, fail_open.LOST)
#: The results of an attempt.
ATTEMPT_RESULTS = (
    *(State.CREATED, State.RETRYING, State.CONFLICT, State.FAILED),
    *(Outcome.UPDATED, Outcome.MARKED, Outcome.DELETED),
)
LIVEDESK_STATES = ("up", "down", "misconfigured", "hold")
#: What attempts say about LiveDesk.
SIGNALS = (Signal.OK, Signal.ERROR, Signal.THROTTLED)

PROTECTED = "Send Authorization: Bearer with the METRICS_TOKEN."
OFF = (
    "Metrics are off. Set METRICS_TOKEN and send it as Authorization: Bearer; or set METRICS_OPEN=yes, "
    "if nobody but your own network reaches this address."
)

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def show() -> WerkzeugResponse:
    parts = current_parts()
    if not parts.shows_figures(request.headers.get("Authorization", "")):
        return problem(401, PROTECTED if parts.metrics_token else OFF, headers={"WWW-Authenticate": "Bearer"})
    try:
        figures = parts.store.overview.figures()
    except StoreError:
        return store_away()
    return Response(_text(figures, list(parts.sources)), 200, content_type=CONTENT_TYPE_PLAIN_0_0_4)


class Collected:
    """Figures as metrics, in the form that Prometheus's library expects.

    Counters are 0 before the first event, because Prometheus would miss that otherwise.
    """

    def __init__(self, figures: Figures, sources: list[str]) -> None:
        self.figures = figures
        self.sources = sources

    def collect(self) -> Iterator[Metric]:
        figures, counters, stop = self.figures, self.figures.counters, self.figures.upstream.stop
        for name, text, value in GAUGES:
            if (number := value(figures)) is not None:
                yield GaugeMetricFamily(PREFIX + name, text, value=number)
        yield _labelled("contacts", "Contacts by state.", "state", figures.counts)
        yield _labelled("waiting", "Contacts to be sent, by lane.", "lane", figures.waiting)
        overdue = {name: lane.overdue_ms / 1000 for name, lane in figures.lanes.items()}
        yield _labelled("lane_overdue_seconds", "Time that the due contacts of a lane wait.", "lane", overdue)
        yield _one_of("livedesk_state", "1 for the current state of LiveDesk.", "state", LIVEDESK_STATES, stop or "up")
        text = "Messages in the queue that were not ours."
        yield CounterMetricFamily(f"{PREFIX}messages_dropped", text, value=counters.get(MESSAGES_DROPPED, 0))
        given = figures.health.given or "unknown"
        yield _one_of("durability", "1 for what Redis does before a 200.", "level", (*Ack, "unknown"), given)
        yield from self._delivery_counters()
        yield from self._clashes()
        results = {state: counters.get(state, 0) for state in ATTEMPT_RESULTS}
        yield _labelled("attempts", "Attempts by result.", "result", results, CounterMetricFamily)
        yield _counter("attempts_failed", "Failed attempts, by cause.", figures, "cause", ("cause",))
        text = "Contacts that LiveDesk had already, by what was decided without an operator."
        choices = [(choice,) for choice in Choice if choice is not Choice.ASK]
        yield _counter("decisions", text, figures, "decision", ("decision",), choices)
        signals = {signal: counters.get(signal, 0) for signal in SIGNALS}
        text = "What attempts showed about LiveDesk."
        yield _labelled("livedesk_signals", text, "signal", signals, CounterMetricFamily)
        yield _histogram("livedesk_request_duration_seconds", "Duration of requests to LiveDesk.", figures, "livedesk")
        text = "Time from the arrival of a change or a deletion until LiveDesk had it."
        yield _histogram("change_duration_seconds", text, figures, "change", CHANGE_BUCKETS_MS)

    def _delivery_counters(self) -> Iterator[Metric]:
        labels = ("source", "result")
        results = [(source, result) for source in self.sources for result in RESULTS]
        yield _counter("deliveries", "Deliveries answered with 200.", self.figures, "delivery", labels, results)
        labels = ("source", "reason")
        refusals = [("", "no_source"), *((source, reason) for source in self.sources for reason in REASONS)]
        yield _counter("deliveries_refused", "Refused deliveries.", self.figures, "refused", labels, refusals)
        text = "Deletions of sources that ignore them."
        ignored = [(source,) for source in self.sources]
        yield _counter("deletions_ignored", text, self.figures, IGNORED_DELETION, ("source",), ignored)
        yield _histogram("accept_duration_seconds", "Time to answer with 200.", self.figures, "accept")
        labels = ("source", "kind")
        kinds = [(source, kind) for source in self.sources for kind in EventKind]
        text = "Deliveries about people who were known already."
        yield _counter("events", text, self.figures, "event", labels, kinds)

    def _clashes(self) -> Iterator[Metric]:
        labels = ("source", "other")
        text = "Deliveries in quarantine whose identifier belongs to a person of another source."
        waiting = GaugeMetricFamily(f"{PREFIX}clashing_deliveries", text, labels=labels)
        for clash in self.figures.clashes:
            waiting.add_metric(clash.pair, clash.waiting)
        yield waiting
        yield _counter("clashes", "Deliveries that clashed.", self.figures, "clash", labels)
        text = "Deliveries that the quarantine evicted, because its share of their source was full."
        evicted = [(source,) for source in self.sources]
        yield _counter("quarantine_evicted", text, self.figures, "evicted", ("source",), evicted)


def _text(figures: Figures, sources: list[str]) -> bytes:
    registry = CollectorRegistry()
    registry.register(Collected(figures, sources))
    return generate_latest(registry)


def _age(figures: Figures, since: int | None) -> float:
    """Return the seconds since a time, or 0 if there is none."""
    return 0 if since is None else max(0, figures.now - since) / 1000


def _sweep_age(figures: Figures) -> float | None:
    return None if figures.swept_at is None else _age(figures, figures.swept_at)


def _hold_left(figures: Figures) -> float:
    """Return the seconds until the end that LiveDesk named, or 0 if it named none."""
    return max(0, (figures.upstream.until or figures.now) - figures.now) / 1000


def _records_since(figures: Figures) -> float | None:
    return None if figures.records_since is None else figures.records_since / 1000


#: Gauges without labels: name, help text, and value; ``None`` is left out.
GAUGES: tuple[tuple[str, str, Callable[[Figures], float | None]], ...] = (
    ("quarantined_deliveries", "Deliveries in quarantine.", lambda now: now.quarantined),
    ("oldest_quarantined_age_seconds", "Age of the oldest of them.", lambda now: _age(now, now.oldest_quarantined)),
    ("oldest_pending_age_seconds", "Age of the oldest untried contact.", lambda now: _age(now, now.oldest_pending)),
    ("overdue_seconds", "Time that due contacts wait for a worker.", lambda now: now.overdue_ms / 1000),
    ("queue_length", "Messages waiting for a worker.", lambda now: now.queue),
    ("workers", "Worker processes that made progress in the last 30 s.", lambda now: now.workers),
    ("sweep_age_seconds", "Time since a worker last made progress.", _sweep_age),
    ("livedesk_stopped_seconds", "Time since the sync stopped.", lambda now: _age(now, now.upstream.since)),
    ("livedesk_hold_seconds_left", "Time until LiveDesk wants requests again.", _hold_left),
    ("livedesk_failed_probes", "Failed probes since the sync stopped.", lambda now: now.upstream.probes),
    (
        "livedesk_held_inboxes",
        "Inboxes whose contacts wait, because LiveDesk does not know them or fails for them.",
        lambda now: len(now.upstream.inboxes),
    ),
    ("paused", "1 while an operator has paused the sync.", lambda now: int(now.upstream.paused_at is not None)),
    ("pace_requests_per_second", "Current limit of requests to LiveDesk.", lambda now: now.upstream.pace),
    ("rate_requests_per_second", "LIVEDESK_RATE, the highest limit.", lambda now: now.upstream.rate),
    ("readiness_problems", "Problems in /readyz: deliveries are at risk.", lambda now: len(now.health.problems)),
    ("readiness_warnings", "Warnings in /readyz.", lambda now: len(now.health.warnings)),
    (
        "redis_emptied",
        "1 until an operator acknowledges that Redis was emptied.",
        lambda now: int(bool(now.emptied_at)),
    ),
    ("records_since_seconds", "Unix time when the records begin.", _records_since),
    ("redis_memory_ratio", "Share of its memory limit that Redis uses.", lambda now: now.health.memory),
)


def _labelled(
    name: str,
    text: str,
    label: str,
    values: Mapping[Any, float],
    family: type[GaugeMetricFamily | CounterMetricFamily] = GaugeMetricFamily,
) -> Metric:
    metric = family(PREFIX + name, text, labels=[label])
    for value, number in values.items():
        metric.add_metric([value], number)
    return metric


def _one_of(name: str, text: str, label: str, values: Iterable[str], current: str) -> Metric:
    return _labelled(name, text, label, {value: int(value == current) for value in values})


def _counter(
    name: str,
    text: str,
    figures: Figures,
    group: str,
    labels: tuple[str, ...],
    expected: Iterable[tuple[str, ...]] = (),
) -> Metric:
    """Return the counters of a group; those ``expected`` even if they are 0.

    The name of a source or a cause has no colon.
    """
    found: dict[tuple[str, ...], int] = dict.fromkeys(expected, 0)
    for counted, number in figures.counters.items():
        kind, *values = counted.split(":")
        if kind == group and len(values) == len(labels):
            found[tuple(values)] = number
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for names, number in sorted(found.items()):
        family.add_metric(names, number)
    return family


def _histogram(name: str, text: str, figures: Figures, counted: str, bounds: tuple[int, ...] = BUCKETS_MS) -> Metric:
    """Return durations; stored buckets are not cumulative, those of Prometheus are."""
    total, buckets = 0, []
    for bound, shown in (*((str(bound), str(bound / 1000)) for bound in bounds), ("inf", "+Inf")):
        total += figures.counters.get(f"{counted}_ms:{bound}", 0)
        buckets.append((shown, total))
    seconds = figures.counters.get(f"{counted}_us", 0) / 1_000_000
    return HistogramMetricFamily(PREFIX + name, text, buckets=buckets, sum_value=seconds)
