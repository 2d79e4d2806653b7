"""Why a contact is where it is, what it waits for, and what happens next: in sentences.

A sentence is a list of pieces: text, and times in ms since the epoch, which the page shows as times. Pure.
"""

from dataclasses import dataclass

from worker.causes import explain
from worker.durations import duration
from worker.model import Outcome, State
from worker.retry import RetryPolicy
from worker.store.overview import Overview
from worker.store.record import ContactRecord
from worker.store.upstream import Upstream

Sentence = list[str | int]
#: Attempts after the next one that are foretold.
FORETOLD = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """``tone`` is a name of the style sheet; ``waits`` are the reasons for its waiting, ``todo`` is for a person."""

    tone: str
    sentence: Sentence
    todo: str
    waits: list[Sentence]


def judge(record: ContactRecord, situation: Overview, *, settle_ms: int, inbox_id: int | None) -> Verdict:
    explained = explain(record.cause or "")
    what, todo = explained.title, explained.todo if record.cause else ""
    if record.state is State.SENDING:
        end: Sentence = (
            [" If its worker dies, another one takes over ", record.lease_until, "."] if record.lease_until else []
        )
        return Verdict("", ["An attempt is running now.", *end], "", [])
    if record.state.is_open:
        waits = _waits(record, situation, settle_ms, inbox_id)
        return Verdict("warn" if record.cause else "", _open(record, situation, what), todo, waits)
    closed = _at(record.closed_at)
    if record.state is State.CREATED:
        how = "It was there already and was adopted" if record.outcome is Outcome.ADOPTED else "It was created"
        return Verdict("good", [f"In LiveDesk as contact {record.contact_id}. {how}", *closed, "."], "", [])
    if record.state is State.DISCARDED:
        return Verdict(
            "", ["Put aside by a person", *closed, ". Nobody tries it any more."], "Retry brings it back.", []
        )
    if record.state is State.CONFLICT:
        owner = f" (contact {record.owner_id})" if record.owner_id else ""
        if (record.cause or "").endswith("_taken"):
            todo = "Compare the two, then choose: adopt that one, create without the clashing field, edit, or discard."
        return Verdict("bad", ["Needs a person. It was refused", *closed, f": {what}{owner}."], todo, [])
    todo = "Read what LiveDesk answered, below. Edit it and retry; or discard it."
    return Verdict("bad", ["Given up", *closed, f" after attempt {record.attempts_made}: {what}."], todo, [])


def _at(at: int | None) -> Sentence:
    return [" ", at] if at is not None else []


def _open(record: ContactRecord, situation: Overview, what: str) -> Sentence:
    is_up, now = situation.upstream.state == "up", situation.now
    due = "due now" if is_up else "due as soon as LiveDesk takes requests again"
    by = f", asked for by {record.trigger}" if record.trigger else ""
    if record.state is State.PENDING:
        return [f"Not tried yet. Its first attempt is {due}{by}."]
    tried = f" after attempt {record.attempts_made}: {what}." if record.cause else "."
    if record.next_attempt_at is None or record.next_attempt_at <= now:
        return [f"Waiting{tried} The next attempt is {due}{by}."]
    return [f"Waiting{tried} The next attempt is ", record.next_attempt_at, f"{by}."]


def _waits(record: ContactRecord, situation: Overview, settle_ms: int, inbox_id: int | None) -> list[Sentence]:
    """What stands between a contact and its next attempt, the strongest first."""
    now, waits = situation.now, _upstream(situation.upstream)
    inbox = str((record.contact and record.contact.inbox_id) or inbox_id or "")
    for held in situation.upstream.inboxes:
        if held.inbox == inbox:
            name = f"inbox {inbox}" if inbox else "no inbox at all"
            waits.append(
                [
                    f"LiveDesk refused {name} first ",
                    held.since,
                    "; it is tried again ",
                    held.probe_at,
                    ".",
                ]
            )
    if record.unknown_since is not None:
        settled: Sentence = [record.unknown_since + settle_ms] if record.unknown_since + settle_ms > now else ["now on"]
        waits.append(
            [
                *(
                    "The answer to the create of ",
                    record.unknown_since,
                    " is unknown: it is looked up first, and only if it is ",
                ),
                *("not there another create may be sent, from ", *settled, "."),
            ]
        )
    if record.next_attempt_at is not None and record.next_attempt_at > now:
        waits.append(["Waits grow with every failure, and chance spreads them, so that not all come back at once."])
    if record.operation:
        waits.append([f"It belongs to operation {record.operation}: that goes behind new signups and other retries."])
    if not waits:
        waiting = situation.counts[State.PENDING] + situation.counts[State.RETRYING]
        waits.append([f"Its turn comes by the pace: {situation.upstream.pace:g} requests a second, {waiting:,} wait."])
    return waits


def _upstream(upstream: Upstream) -> list[Sentence]:
    probe: Sentence = (
        [" One contact at a time probes whether it is back, next ", upstream.probe_at, "."] if upstream.probe_at else []
    )
    since = _at(upstream.since)
    found: list[Sentence] = []
    if upstream.paused_at:
        why = f": {upstream.paused_why}" if upstream.paused_why else ""
        found.append([f"{upstream.paused_by} paused the sync ", upstream.paused_at, f"{why}."])
    if upstream.stop == "down":
        found.append(["LiveDesk went down", *since, f" ({upstream.cause}).", *probe])
    elif upstream.stop:
        found.append(["LiveDesk stopped letting us in", *since, f": {explain(upstream.cause or '').title}.", *probe])
    return found


def schedule(record: ContactRecord, policy: RetryPolicy, now: int) -> list[Sentence]:
    """The attempts to come, as far as anybody can tell: chance picks each wait below its bound."""
    if not record.state.is_open or record.state is State.SENDING:
        return []
    due = record.next_attempt_at
    first: Sentence = [due] if due is not None and due > now else ["due now"]
    waits = [duration(policy.bound_ms(record.failures + more)) for more in range(FORETOLD)]
    later: list[Sentence] = [[f"if that fails, within {wait} after it"] for wait in waits]
    budget = (
        f"given up when {duration(policy.budget_ms)} of waits are its own fault; {duration(record.spent_ms)} are so far"
    )
    return [first, *later, [f"{budget}. Faults of LiveDesk's, and ours, cost nothing."]]
