"""Explains a contact's state, waiting time and next step in sentences. Pure.

A sentence is a list of pieces: text, and times in ms since the epoch that the page renders as times.
"""

from dataclasses import dataclass

from worker.causes import explain
from worker.durations import duration
from worker.model import Outcome, Resolution, State
from worker.retry import RetryPolicy
from worker.store.overview import Overview
from worker.store.record import ContactRecord
from worker.store.upstream import Upstream

Sentence = list[str | int]
#: Attempts after the next one that the page announces.
ANNOUNCED = 3


#: How a contact became created.
OUTCOMES = {Outcome.CREATED: "Created", Outcome.ADOPTED: "Adopted", Outcome.KNOWN: "Known there"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """``tone``: a CSS class; ``todo``: for an operator; ``waits``: why it waits."""

    tone: str
    sentence: Sentence
    todo: str = ""
    waits: tuple[Sentence, ...] = ()


def explain_contact(
    record: ContactRecord, overview: Overview | None, *, settle_ms: int, inbox_id: int | None
) -> Explanation:
    """Explain the contact's state, and with an overview also why it waits."""
    if record.state is State.SENDING:
        lease = record.lease_until
        takeover: Sentence = [" If its worker dies, another one takes over ", lease, "."] if lease else []
        return Explanation("", ["An attempt is running now.", *takeover])
    if record.state.is_open:
        todo = explain(record.cause).todo if record.cause and record.resolution is None else ""
        waits = _waits(record, overview, settle_ms, inbox_id) if overview else []
        return Explanation("warn" if record.cause else "", _open(record, overview), todo, tuple(waits))
    return _closed(record)


def _closed(record: ContactRecord) -> Explanation:
    at, explained = _at(record.closed_at), explain(record.cause or "")
    if record.state is State.CREATED:
        how = OUTCOMES[record.outcome or Outcome.CREATED]
        return Explanation("good", [f"In LiveDesk as contact {record.contact_id}. {how}", *at, "."])
    if record.state is State.DISCARDED:
        return Explanation("", ["Discarded", *at, ". It will not be tried again."], "Retry brings it back.")
    if record.state is State.CONFLICT:
        owner = f" (contact {record.owner_id})" if record.owner_id else ""
        sentence: Sentence = ["Needs you. LiveDesk rejected it", *at, f": {explained.title}{owner}."]
        return Explanation("bad", sentence, explained.todo)
    given_up: Sentence = ["Given up", *at, f" after attempt {record.attempts_made}: {explained.title}."]
    return Explanation("bad", given_up, "Read LiveDesk's answer below. Then edit and retry, or discard it.")


def _at(at: int | None) -> Sentence:
    return [" ", at] if at is not None else []


def _open(record: ContactRecord, overview: Overview | None) -> Sentence:
    is_stopped = overview is not None and overview.upstream.state != "up"
    due = "due as soon as LiveDesk accepts requests again" if is_stopped else "due now"
    by = f", requested by {record.trigger}" if record.trigger else ""
    if record.state is State.PENDING:
        return [f"Not tried yet. The first attempt is {due}{by}."]
    tried = f" after attempt {record.attempts_made}: {explain(record.cause).title}." if record.cause else "."
    if record.next_attempt_at is None or (overview and record.next_attempt_at <= overview.now):
        return [f"Waiting{tried} The next attempt is {due}{by}."]
    return [f"Waiting{tried} The next attempt is ", record.next_attempt_at, f"{by}."]


def _waits(record: ContactRecord, overview: Overview, settle_ms: int, inbox_id: int | None) -> list[Sentence]:
    """Return what the next attempt waits for, the strongest reason first."""
    now, waits = overview.now, _upstream(overview.upstream)
    if record.resolution is Resolution.ADOPT:
        waits.append([f"An operator decided: contact {record.owner_id} in LiveDesk gets this identifier."])
    if record.resolution is Resolution.WITHOUT:
        waits.append(["An operator decided: it is created without the value that another contact has."])
    inbox = str((record.contact and record.contact.inbox_id) or inbox_id or "")
    for one in overview.upstream.inboxes:
        if one.inbox == inbox:
            name = f"inbox {inbox}" if inbox else "a contact without an inbox"
            waits.append([f"LiveDesk first rejected {name} ", one.since, "; the next probe is ", one.probe_at, "."])
    if record.unknown_since is not None:
        settled = record.unknown_since + settle_ms
        again: Sentence = [settled, "."] if settled > now else ["at once."]
        lost: Sentence = ["The answer to the request sent ", record.unknown_since, " was lost."]
        waits.append([*lost, " We look the contact up. If LiveDesk does not have it, we may send it again ", *again])
    if record.next_attempt_at is not None and record.next_attempt_at > now:
        waits.append(["Waits grow with every failure, and are randomised so that contacts do not all retry at once."])
    if record.operation:
        waits.append([f"It is part of operation {record.operation}, which runs after new signups and other retries."])
    if not waits:
        waiting = overview.counts[State.PENDING] + overview.counts[State.RETRYING]
        waits.append([f"It is in the queue: {waiting:,} contacts, {overview.upstream.pace:g} requests per second."])
    return waits


def _upstream(upstream: Upstream) -> list[Sentence]:
    probe: Sentence = [" The next probe is ", upstream.probe_at, "."] if upstream.probe_at else []
    since = _at(upstream.since)
    found: list[Sentence] = []
    if upstream.paused_at:
        why = f": {upstream.paused_why}" if upstream.paused_why else ""
        found.append([f"{upstream.paused_by} paused the sync ", upstream.paused_at, f"{why}."])
    title = explain(upstream.cause or "").title
    if upstream.stop == "down":
        found.append(["LiveDesk went down", *since, f": {title}.", *probe])
    elif upstream.stop:
        found.append(["LiveDesk stopped accepting our requests", *since, f": {title}.", *probe])
    return found


def planned_attempts(record: ContactRecord, policy: RetryPolicy, overview: Overview | None) -> list[Sentence]:
    """Describe future attempts; waits are random, so only their bounds are known."""
    if not record.state.is_open or record.state is State.SENDING:
        return []
    due = record.next_attempt_at
    first: Sentence = [due] if due is not None and overview and due > overview.now else ["due now"]
    waits = [duration(policy.bound_ms(record.failures + more)) for more in range(ANNOUNCED)]
    later: list[Sentence] = [[f"if that fails, at most {wait} later"] for wait in waits]
    budget, spent = duration(policy.budget_ms), duration(record.spent_ms)
    end = f"marked as failed after {budget} of retries caused by its own data ({spent} so far)."
    return [first, *later, [f"{end} Waiting for LiveDesk, or for our configuration, does not count."]]
