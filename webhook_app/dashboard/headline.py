"""LiveDesk's state in a word, the alarm in page titles, the overview's headline."""

from dataclasses import dataclass

from webhook_app.present.masking import masked_text
from webhook_app.present.sending import FIX_WHAT_IT_NAMES, STOPPED, asked_for, reason_of
from webhook_app.present.wording import clashing, clear_words, counted, people, rate, takes
from worker.causes import CONTACT_GONE, CONTACT_ONLINE, INBOX_NOT_FOUND, STORED_VALUE_REFUSED, Fault, explain
from worker.durations import absolute
from worker.model import State
from worker.store.overview import Cause, Overview
from worker.store.queue import Workers
from worker.store.upstream import Upstream

#: The states in page titles.
ALARMS = {
    "up": "",
    "paused": "paused",
    "down": "LiveDesk down",
    "misconfigured": "sync misconfigured",
    "hold": "sync on hold",
}
#: For how long the end of a stop is news, while contacts wait that it had kept.
BACK_IS_NEWS_MS = 15 * 60_000
#: The causes that only changes and deletions have.
CHANGE_CAUSES = (CONTACT_GONE.slug, STORED_VALUE_REFUSED.slug, CONTACT_ONLINE.slug)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The overview's first sentence, the ``rest``, and ``since`` in epoch ms."""

    tone: str
    what: str
    since: int | None = None
    rest: tuple[str, ...] = ()


def reach(upstream: Upstream) -> str:
    """Return ``up``, ``slow``, ``down``, ``misconfigured``, ``hold`` or ``paused``."""
    return "slow" if upstream.state == "up" and upstream.pace < upstream.rate else upstream.state


def reach_reason(upstream: Upstream) -> str:
    """Return why LiveDesk is not up, in our words or the pausing operator's."""
    if upstream.paused_at:
        return f"by {upstream.paused_by}: {masked_text(upstream.paused_why or '')}"
    if upstream.stop == "hold" and upstream.words:
        return f"LiveDesk answers everybody: “{masked_text(upstream.words)}”"
    if upstream.stop == "hold" and upstream.until:
        return f"LiveDesk asked for no requests until {absolute(upstream.until)}"
    if upstream.stop:
        return reason_of(upstream)
    return f"sending {rate(upstream.pace)} of {rate(upstream.rate)}/s" if reach(upstream) == "slow" else ""


def alarm(overview: Overview) -> str:
    """Return the alarm for page titles (``LiveDesk down, 412 failed``), or ""."""
    state, failed, conflicts = overview.upstream.state, overview.counts[State.FAILED], overview.counts[State.CONFLICT]
    parts = (
        "Redis was emptied" if overview.emptied_at else "",
        ALARMS[state],
        f"{failed:,} failed" if failed else "",
        counted(conflicts, "conflict") if conflicts else "",
        counted(overview.clashing, "clash", "clashes") if overview.clashing else "",
    )
    return ", ".join(part for part in parts if part)


def headline_of(overview: Overview, causes: list[Cause], workers: Workers | None, quarantined: int) -> Headline:
    """Return the most urgent news: what stops every contact precedes what stops some."""
    if overview.emptied_at:
        return _emptied(overview)
    if overview.upstream.state != "up":
        return _stopped(overview)
    if workers and not workers.alive():
        since = workers.last_seen
        rest = (_waiting(overview), "Start a worker.", *_closed(overview))
        return Headline(tone="bad", what="No worker is running", since=since, rest=rest)
    if overview.upstream.inboxes:
        return _inboxes(overview)
    if _is_back(overview):
        return _back(overview)
    groups = [group for group in causes if group.waiting]
    if groups:
        return _causes(overview, groups)
    if broken(overview):
        return Headline(tone="warn", what=f"{people(broken(overview))} did not reach LiveDesk", rest=_closed(overview))
    if overview.clashes:
        return _clashes(overview)
    if quarantined:
        what = f"{counted(quarantined, 'delivery', 'deliveries')} without a usable contact"
        return Headline(tone="warn", what=what, rest=("Everything else is fine.", *_on_the_way(overview)))
    return Headline(tone="good", what="All is well", rest=("Nothing needs your attention.", *_on_the_way(overview)))


def broken(overview: Overview) -> int:
    """Return how many contacts need an operator."""
    return overview.counts[State.FAILED] + overview.counts[State.CONFLICT]


def on_the_way(overview: Overview) -> int:
    """Return how many contacts are open."""
    return sum(number for state, number in overview.counts.items() if state.is_open)


def _emptied(overview: Overview) -> Headline:
    return Headline(
        tone="bad",
        what="Redis was emptied: acknowledged signups are lost",
        since=overview.emptied_at,
        rest=(
            "All records are gone, also those of contacts that waited for LiveDesk.",
            "Find out what emptied Redis, and send the signups again. Then acknowledge this.",
            *_on_the_way(overview),
        ),
    )


def _stopped(overview: Overview) -> Headline:
    upstream = overview.upstream
    if upstream.paused_at:
        return Headline(
            tone="warn",
            what=f"Sync paused by {upstream.paused_by}: {masked_text(upstream.paused_why or '')}",
            since=upstream.paused_at,
            rest=("Nothing is sent to LiveDesk until an operator resumes it.", _waiting(overview), *_closed(overview)),
        )
    explained = explain(upstream.cause or "")
    is_down = upstream.stop == "down"
    what = STOPPED[upstream.stop or ""]
    # One lost answer proves little; enough of them to open the breaker are LiveDesk's.
    fault = Fault.LIVEDESK if is_down and explained.fault is Fault.UNKNOWN else explained.fault
    if upstream.stop == "hold" and upstream.words:
        return Headline(
            tone="bad",
            what=f"{what}: it refuses everybody alike{f' ({upstream.status})' if upstream.status else ''}",
            since=upstream.since,
            rest=(*asked_for(upstream), _waiting(overview), FIX_WHAT_IT_NAMES, *_closed(overview)),
        )
    return Headline(
        tone="bad",
        what=f"{what}: {explained.title}",
        since=upstream.since,
        rest=(*asked_for(upstream), fault.sentence, _waiting(overview), explained.todo, *_closed(overview)),
    )


def _is_back(overview: Overview) -> bool:
    """Whether a stop has ended, and nothing but contacts on the way is left."""
    back_at = overview.upstream.back_at
    is_news = back_at is not None and overview.now - back_at < BACK_IS_NEWS_MS
    return is_news and overview.backlog > 0 and not broken(overview)


def _back(overview: Overview) -> Headline:
    upstream = overview.upstream
    away_ms = (upstream.back_at or 0) - (upstream.away_since or 0)
    left = on_the_way(overview)
    return Headline(
        tone="good",
        what=f"LiveDesk is back after {takes(away_ms)}",
        since=upstream.back_at,
        rest=(f"{people(left)} {'is' if left == 1 else 'are'} on the way: {clear_words(overview)}.",),
    )


def _inboxes(overview: Overview) -> Headline:
    """Name the inboxes whose contacts wait, and why."""
    inboxes = overview.upstream.inboxes
    explained = explain(inboxes[0].cause)
    names = ", ".join(one.inbox or "(none set)" for one in inboxes)
    is_unknown = all(one.cause == INBOX_NOT_FOUND.slug for one in inboxes)
    what = f"LiveDesk does not know inbox {names}"
    return Headline(
        tone="bad",
        what=what if is_unknown else f"The contacts of inbox {names} wait: {explained.title}",
        since=min(one.since for one in inboxes),
        rest=(
            explained.fault.sentence,
            f"{_wait(overview.waiting['held'])}. All other contacts are sent.",
            explained.todo,
            *_closed(overview),
        ),
    )


def _causes(overview: Overview, groups: list[Cause]) -> Headline:
    """Name the cause that most contacts have, and count the others."""
    most, *others = groups
    explained = explain(most.cause)
    what = f"{people(most.waiting)} cannot reach LiveDesk"
    if most.cause in CHANGE_CAUSES:
        what = f"{counted(most.waiting, 'change')} cannot be sent to LiveDesk"
    more = f"{people(sum(group.waiting for group in others))} more with {counted(len(others), 'other cause')}."
    return Headline(
        tone="bad" if broken(overview) else "warn",
        what=f"{what}: {explained.title}",
        since=most.first_seen,
        rest=(explained.fault.sentence, *((more,) if others else ()), *_closed(overview)),
    )


def _clashes(overview: Overview) -> Headline:
    first, *others = overview.clashes
    pairs = f"{len(others) + 1} pairs of sources" if others else f"{first.source} and {first.other}"
    return Headline(
        tone="warn",
        what=f"{clashing(overview.clashing)}: {pairs} use the same identifiers",
        rest=("Nobody was overwritten. Decide whether they are the same people.", *_on_the_way(overview)),
    )


def _wait(number: int) -> str:
    return f"{people(number)} {'is' if number == 1 else 'are'} waiting"


def _waiting(overview: Overview) -> str:
    return f"{_wait(on_the_way(overview))}{_changes_of(overview)}. Nothing is lost."


def _changes_of(overview: Overview) -> str:
    """Return how many of those who wait are in LiveDesk already, if there are any."""
    changes, deletions = overview.waiting.get("change", 0), overview.waiting.get("deletion", 0)
    parts = [
        *((counted(changes, "change"),) if changes else ()),
        *((counted(deletions, "deletion"),) if deletions else ()),
    ]
    return f", among them {' and '.join(parts)}" if parts else ""


def _closed(overview: Overview) -> tuple[str, ...]:
    number, clashes = broken(overview), overview.clashing
    return (
        *((f"{people(number)} {'needs' if number == 1 else 'need'} an operator.",) if number else ()),
        *((f"{clashing(clashes)} with people of other sources.",) if clashes else ()),
    )


def _on_the_way(overview: Overview) -> tuple[str, ...]:
    number = on_the_way(overview)
    is_are = "is" if number == 1 else "are"
    return (f"{people(number)} {is_are} on the way{_changes_of(overview)}.",) if number else ()
