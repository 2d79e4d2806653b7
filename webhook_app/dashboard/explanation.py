"""Explains a contact's state, waiting time and next step in sentences. Pure.

A sentence is a list of pieces: text, and times in ms since the epoch that the page renders as times.
"""

from dataclasses import dataclass

from webhook_app.present.masking import masked_text
from webhook_app.present.sending import Due, Sentence, asked_for, goes_when, held_inbox, inbox_name, inbox_of
from webhook_app.present.wording import counted, field_labels
from worker.causes import CONTACT_GONE, explain
from worker.durations import duration
from worker.model import OnDelete, Outcome, Resolution, State, Work
from worker.retry import RetryPolicy
from worker.store.overview import Overview
from worker.store.record import ContactRecord
from worker.store.upstream import Upstream

#: Attempts after the next one that the page announces.
ANNOUNCED = 3


#: How a contact became created.
OUTCOMES = {
    Outcome.CREATED: "Created",
    Outcome.ADOPTED: "Adopted",
    Outcome.KNOWN: "Known there",
    Outcome.UPDATED: "Updated",
}
#: What happened to LiveDesk's contact after the source had deleted the person.
GOODBYES = {
    Outcome.MARKED: "LiveDesk's contact {} is marked: its custom attribute account_deleted_at has the time.",
    Outcome.DELETED: "LiveDesk no longer has the contact.",
    None: "LiveDesk did not have to change anything.",
}
REVIVAL = "The record remains, so that no late repeat creates the person again. Only a newer event does."


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
        return Explanation("", [*_standing(record), "An attempt is running now.", *takeover])
    if record.state.is_open:
        todo = explain(record.cause).todo if record.cause and record.resolution is None else ""
        waits = _waits(record, overview, settle_ms, inbox_id) if overview else []
        sentence = [*_standing(record), *_open(record, overview, inbox_of(record, inbox_id))]
        return Explanation("warn" if record.cause else "", sentence, todo, tuple(waits))
    return _closed(record)


def _standing(record: ContactRecord) -> Sentence:
    """Return what LiveDesk has already, before a change or a deletion."""
    if record.work is Work.UPDATE:
        return [f"In LiveDesk as contact {record.contact_id}, which lacks a change{_changes(record)}. "]
    if record.work is Work.CREATE:
        return []
    what = f"contact {record.contact_id}" if record.contact_id else "a contact, if it has one"
    will = f"LiveDesk is to {'delete' if record.deletes is OnDelete.DELETE else 'mark'} {what}. "
    return ["The source deleted this person", *_at(record.event_at), f". {will}"]


def _changes(record: ContactRecord) -> str:
    return f" ({field_labels(record.changes)})" if record.changes else ""


def _closed(record: ContactRecord) -> Explanation:
    at = _at(record.closed_at)
    if record.state is State.CREATED:
        return _created(record)
    if record.state is State.DELETED:
        goodbye = GOODBYES.get(record.outcome, "").format(record.contact_id)
        return Explanation("", ["The source deleted this person", *_at(record.event_at), f". {goodbye}"], REVIVAL)
    if record.state is State.DISCARDED and record.work is Work.UPDATE:
        kept = f". LiveDesk's contact {record.contact_id} stays as it is."
        is_gone = bool(record.attempts) and record.attempts[-1].cause == CONTACT_GONE.slug
        kept = f". LiveDesk no longer has contact {record.contact_id}." if is_gone else kept
        todo = "Retry sends the change after all, and so does the next change."
        return Explanation("", ["The change was discarded", *at, kept], todo)
    if record.state is State.DISCARDED:
        return Explanation("", ["Discarded", *at, ". It will not be tried again."], "Retry brings it back.")
    explained = explain(record.cause or "")
    rejected, given_up, todo = _unsent(record)
    if record.state is State.CONFLICT:
        owner = f" (contact {record.owner_id})" if record.owner_id else ""
        return Explanation("bad", [f"Needs you. {rejected}", *at, f": {explained.title}{owner}."], explained.todo)
    sentence: Sentence = [given_up, *at, f" after attempt {record.attempts_made}: {explained.title}."]
    return Explanation("bad", sentence, f"Read LiveDesk's answer below. {todo}")


def _created(record: ContactRecord) -> Explanation:
    changed = record.attempts[-1].changed if record.attempts else ()
    how = OUTCOMES[Outcome.UPDATED if changed else record.outcome or Outcome.CREATED]
    fields = f": {field_labels(changed)}" if changed else ""
    sentence: Sentence = [f"In LiveDesk as contact {record.contact_id}. {how}", *_at(record.closed_at), f"{fields}."]
    return Explanation("good", sentence)


def _unsent(record: ContactRecord) -> tuple[str, str, str]:
    """Return how a conflict and a failure begin, and what to do about the failure."""
    if record.work is Work.CREATE:
        return "LiveDesk rejected it", "Given up", "Then edit and retry, or discard it."
    if record.work is Work.DELETE:
        return "The deletion failed", "The deletion was given up", "Then retry."
    change = f"change{_changes(record)} of contact {record.contact_id}"
    todo = "Then retry, or discard the change: LiveDesk's contact stays as it is."
    return f"The {change} was refused", f"The {change} was given up", todo


def _at(at: int | None) -> Sentence:
    return [" ", at] if at is not None else []


def _open(record: ContactRecord, overview: Overview | None, inbox: str | None) -> Sentence:
    when = goes_when(overview.upstream, inbox) if overview else []
    due: Sentence = ["is made ", *when] if when else ["is due now"]
    by = f", requested by {record.trigger}" if record.trigger else ""
    if record.state is State.PENDING:
        untried = "Not tried yet. The first attempt" if record.work is Work.CREATE else "The attempt"
        return [f"{untried} ", *due, f"{by}."]
    tried = f" after attempt {record.attempts_made}: {explain(record.cause).title}." if record.cause else "."
    if when or record.next_attempt_at is None or (overview and record.next_attempt_at <= overview.now):
        return [f"Waiting{tried} The next attempt ", *due, f"{by}."]
    return [f"Waiting{tried} The next attempt is ", Due(record.next_attempt_at), f"{by}."]


def _waits(record: ContactRecord, overview: Overview, settle_ms: int, inbox_id: int | None) -> list[Sentence]:
    """Return what the next attempt waits for, the strongest reason first."""
    now, waits = overview.now, _upstream(overview.upstream)
    if record.resolution is Resolution.ADOPT:
        waits.append([f"An operator decided: contact {record.owner_id} in LiveDesk gets this identifier."])
    if record.resolution is Resolution.WITHOUT:
        done = "is created" if record.work is Work.CREATE else "is sent"
        waits.append([f"An operator decided: it {done} without the value that another contact has."])
    if (held := held_inbox(overview.upstream, inbox_of(record, inbox_id))) is not None:
        why = explain(held.cause).title
        waits.append(
            [
                f"The contacts of {inbox_name(held)} wait since ",
                held.since,
                f": {why}. Next probe ",
                Due(held.probe_at),
                ".",
            ]
        )
    if record.unknown_since is not None and record.work is Work.CREATE:
        settled = record.unknown_since + settle_ms
        again: Sentence = [settled, "."] if settled > now else ["at once."]
        lost: Sentence = ["The answer to the request sent ", record.unknown_since, " was lost."]
        waits.append([*lost, " We look the contact up. If LiveDesk does not have it, we may send it again ", *again])
    is_sent = not goes_when(overview.upstream, inbox_of(record, inbox_id))
    if is_sent and record.next_attempt_at is not None and record.next_attempt_at > now:
        waits.append(["Waits grow with every failure, and are randomised so that contacts do not all retry at once."])
    if record.operation:
        waits.append([f"It is part of operation {record.operation}, which runs after new signups and other retries."])
    if not waits:
        waiting = overview.counts[State.PENDING] + overview.counts[State.RETRYING]
        behind = "" if record.work is Work.CREATE else " Changes and deletions wait behind new signups and retries."
        pace = f"{overview.upstream.pace:g} requests per second"
        waits.append([f"It is in the queue: {counted(waiting, 'contact')}, {pace}.{behind}"])
    return waits


def _upstream(upstream: Upstream) -> list[Sentence]:
    """Return why nothing is sent at all."""
    is_probed = upstream.probe_at is not None and not upstream.paused_at
    probe: Sentence = [" Next probe ", Due(upstream.probe_at or 0), "."] if is_probed else []
    since = _at(upstream.since)
    found: list[Sentence] = []
    if upstream.paused_at:
        why = f": {masked_text(upstream.paused_why)}" if upstream.paused_why else ""
        found.append([f"{upstream.paused_by} paused the sync ", upstream.paused_at, f"{why}."])
    title = explain(upstream.cause or "").title
    if upstream.stop == "down":
        found.append(["LiveDesk went down", *since, f": {title}.", *probe])
    elif upstream.stop == "hold":
        found.append(["LiveDesk has accepted nothing since it refused", *since, f": {title}.", *probe])
        found += [[sentence] for sentence in asked_for(upstream)]
    elif upstream.stop:
        found.append(["LiveDesk stopped accepting our requests", *since, f": {title}.", *probe])
    return found


def planned_attempts(
    record: ContactRecord, policy: RetryPolicy, overview: Overview | None, inbox_id: int | None = None
) -> list[Sentence]:
    """Describe future attempts; waits are random, so only their bounds are known."""
    if not record.state.is_open or record.state is State.SENDING:
        return []
    due = record.next_attempt_at
    when = goes_when(overview.upstream, inbox_of(record, inbox_id)) if overview else []
    if when:
        first: Sentence = when
    else:
        first = [Due(due)] if due is not None and overview and due > overview.now else ["due now"]
    waits = [duration(policy.bound_ms(record.failures + more)) for more in range(ANNOUNCED)]
    later: list[Sentence] = [[f"if that fails, at most {wait} later"] for wait in waits]
    budget, spent = duration(policy.budget_ms), duration(record.spent_ms)
    end = f"marked as failed after {budget} of retries caused by its own data ({spent} so far)."
    return [first, *later, [f"{end} Waiting for LiveDesk, or for our configuration, does not count."]]
