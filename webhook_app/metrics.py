"""``GET /metrics``, for Prometheus. What is behind each figure says ``worker.store.metrics``, and what to make of it
``docs/operations.md``.

Labels are names of sources that an operator chose, and words of fixed vocabularies: no personal data.
"""

from collections.abc import Iterable, Iterator, Mapping

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from werkzeug import Response as WerkzeugResponse

from webhook_app.api.blueprint import is_authorized
from webhook_app.parts import current_parts
from webhook_app.problems import problem, store_away
from webhook_app.receiver import fail_open
from webhook_app.receiver.delivery_log import REASONS
from worker.errors import StoreError
from worker.model import Ack, State, Status
from worker.store.counters import BUCKETS_MS
from worker.store.overview import Figures

PREFIX = "livedesk_sync_"
#: What becomes of a delivery that is answered with 200.
RESULTS = (*Status, fail_open.LOST)
#: How an attempt ends.
ENDS = (State.CREATED, State.RETRYING, State.CONFLICT, State.FAILED)
#: What LiveDesk's state may be, and what an answer of it says (``worker.model.Signal``).
STOPS = ("up", "down", "misconfigured")
ANSWERS = ("ok", "error", "throttled")


blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def show() -> WerkzeugResponse:
    parts = current_parts()
    token = parts.metrics_token
    if token is not None and not is_authorized(request.headers.get("Authorization", ""), token):
        detail = "Send Authorization: Bearer with the METRICS_TOKEN."
        return problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
    try:
        figures = parts.store.overview.figures()
    except StoreError:
        return store_away()
    return Response(_text(figures, list(parts.sources)), 200, content_type=CONTENT_TYPE_PLAIN_0_0_4)


class Collected:
    """Figures in the form that Prometheus's library wants them."""

    def __init__(self, figures: Figures, sources: list[str]) -> None:
        self.figures = figures
        self.sources = sources

    def collect(self) -> Iterator[Metric]:
        yield from _deliveries(self.figures, self.sources)
        yield from _contacts(self.figures)
        yield from _attempts(self.figures)
        yield from _livedesk(self.figures)
        yield from _redis(self.figures)


def _text(figures: Figures, sources: list[str]) -> bytes:
    registry = CollectorRegistry()
    registry.register(Collected(figures, sources))
    return generate_latest(registry)


def _deliveries(figures: Figures, sources: list[str]) -> Iterator[Metric]:
    """What has not happened yet is told as 0: Prometheus would not see the first time otherwise."""
    results = [(source, result) for source in sources for result in RESULTS]
    refusals = [("", "no_source"), *((source, reason) for source in sources for reason in REASONS)]
    yield _counter("deliveries", "Deliveries answered with 200.", figures, "delivery", ("source", "result"), results)
    yield _counter(
        "deliveries_refused", "Deliveries not taken, by reason.", figures, "refused", ("source", "reason"), refusals
    )
    yield _histogram("accept_seconds", "How long a delivery that was taken waited for its answer.", figures, "accept")
    yield _gauge("quarantined", "Deliveries in quarantine.", figures.quarantined)
    yield _age(
        "oldest_quarantined_seconds", "Age of the oldest one in quarantine.", figures, figures.oldest_quarantined
    )


def _contacts(figures: Figures) -> Iterator[Metric]:
    yield _gauges("contacts", "Contacts by state.", "state", figures.counts)
    yield _age(
        "oldest_pending_seconds", "Age of the oldest contact that was never tried.", figures, figures.oldest_pending
    )
    yield _gauge("overdue_seconds", "How long what is due waits to be handed over.", figures.overdue_ms / 1000)
    yield _gauge("queue_length", "Messages that wait for a worker.", figures.queue)
    yield _gauge("workers", "Hosts with a worker that made progress in the last 30 s.", figures.workers)
    if figures.swept_at is not None:
        age = max(0, figures.now - figures.swept_at) / 1000
        yield _gauge("sweep_age_seconds", "How long ago a worker last made progress.", age)


def _attempts(figures: Figures) -> Iterator[Metric]:
    results = CounterMetricFamily(f"{PREFIX}attempts", "Attempts by how they ended.", labels=["result"])
    for state in ENDS:
        results.add_metric([state], figures.counters.get(state, 0))
    yield results
    yield _counter("attempts_failed", "Attempts that did not succeed, by cause.", figures, "cause", ("cause",))
    answers = CounterMetricFamily(f"{PREFIX}answers", "What attempts said about LiveDesk.", labels=["answer"])
    for answer in ANSWERS:
        answers.add_metric([answer], figures.counters.get(answer, 0))
    yield answers
    yield _histogram("livedesk_request_seconds", "How long requests to LiveDesk took.", figures, "livedesk")


def _livedesk(figures: Figures) -> Iterator[Metric]:
    upstream = figures.upstream
    yield _one_of("livedesk_state", "1 for LiveDesk's state.", "state", STOPS, upstream.stop or "up")
    yield _age("livedesk_stopped_seconds", "For how long the sync is stopped.", figures, upstream.since)
    yield _gauge("failed_probes", "Probes that failed since it is stopped.", upstream.probes)
    yield _gauge("paused", "1 while an operator has paused the sync.", int(upstream.paused_at is not None))
    yield _gauge("held_inboxes", "Inboxes that LiveDesk does not know.", len(upstream.inboxes))
    yield _gauge("pace", "Requests a second that are sent at most now.", upstream.pace)
    yield _gauge("rate", "LIVEDESK_RATE: requests a second that are allowed.", upstream.rate)


def _redis(figures: Figures) -> Iterator[Metric]:
    health = figures.health
    yield _gauge("readiness_problems", "Problems that /readyz names: deliveries are at risk.", len(health.problems))
    yield _gauge("readiness_warnings", "Warnings that /readyz names.", len(health.warnings))
    if figures.memory is not None:
        yield _gauge("redis_memory_share", "The share of its memory that Redis uses.", figures.memory)
    yield _one_of(
        "durability", "1 for what Redis does before a 200.", "level", [*Ack, "not_told"], health.given or "not_told"
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[State, int]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _one_of(name: str, text: str, label: str, values: list[str] | tuple[str, ...], current: str) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label])
    for value in values:
        family.add_metric([value], int(value == current))
    return family


def _age(name: str, text: str, figures: Figures, since: int | None) -> Metric:
    """How many seconds ago it was, or 0 where there is nothing."""
    return _gauge(name, text, 0 if since is None else max(0, figures.now - since) / 1000)


def _counter(
    name: str,
    text: str,
    figures: Figures,
    group: str,
    labels: tuple[str, ...],
    expected: Iterable[tuple[str, ...]] = (),
) -> Metric:
    """The counts ``<group>:<label>[:<label>]``; those that are ``expected``, even where they are 0. A source's name and
    a cause hold no colon."""
    found: dict[tuple[str, ...], int] = dict.fromkeys(expected, 0)
    for counted, number in figures.counters.items():
        kind, *values = counted.split(":")
        if kind == group and len(values) == len(labels):
            found[tuple(values)] = number
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for names, number in sorted(found.items()):
        family.add_metric(names, number)
    return family


def _histogram(name: str, text: str, figures: Figures, counted: str) -> Metric:
    """The durations counted under this name; the stored buckets are not cumulative, these are."""
    total, buckets = 0, []
    for bound in (*BUCKETS_MS, "inf"):
        total += figures.counters.get(f"{counted}_ms:{bound}", 0)
        buckets.append(("+Inf" if isinstance(bound, str) else str(bound / 1000), total))
    seconds = figures.counters.get(f"{counted}_us", 0) / 1_000_000
    return HistogramMetricFamily(PREFIX + name, text, buckets=buckets, sum_value=seconds)
