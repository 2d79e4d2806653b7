"""What a person, or a script of theirs, does by hand: once, for pages, API and commands alike. No HTTP here.

Each action notes in the audit what was done, by whom (``who``) and why, once it is done. A contact goes by its key.
Every one raises ``StoreError`` where Redis is away, and ``NotDone`` where it cannot be done.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from secrets import token_hex
from typing import TYPE_CHECKING

from webhook_app.quarantine import replay as read_again
from webhook_app.sources.body import BadBody
from worker.errors import SyncError, Unmappable
from worker.lists import Filter
from worker.model import Attempt, Contact, Note, Outcome, Quarantined, Signal, State, Verdict
from worker.normalise import normalise
from worker.operations import Action, Operation, OperationState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook_app import Parts
    from worker.history import ContactRecord

#: The fields that a person may mend; the identifier is what makes a contact that contact.
EDITABLE = ("name", "email", "phone_number", "avatar_url", "inbox_id")
#: What turning an operation is called in the audit.
WAYS = {
    OperationState.PAUSED: "pause",
    OperationState.RUNNING: "resume",
    OperationState.CANCELLED: "cancel",
    OperationState.UNDOING: "undo",
}


class Reason(StrEnum):
    """Why something was not done."""

    GONE = "gone"
    BUSY = "busy"
    CREATED = "created"
    DISCARDED = "discarded"
    CHANGED = "changed"
    NO_OWNER = "no_owner"
    WRONG_STATE = "wrong_state"
    ALREADY = "already"


SENTENCES = {
    Reason.GONE: "There is no such contact.",
    Reason.BUSY: "An attempt is running; nothing was changed. Try again in a minute.",
    Reason.CREATED: "It is created already; nothing was changed.",
    Reason.DISCARDED: "It is discarded already.",
    Reason.CHANGED: "A delivery has brought other data meanwhile; nothing was changed. Look at it again.",
    Reason.NO_OWNER: "No other contact is in its way.",
}


class NotDone(SyncError):
    """It could not be done, and nothing was changed; the text says why."""

    def __init__(self, reason: Reason, sentence: str = "") -> None:
        super().__init__(sentence or SENTENCES[reason])
        self.reason = reason


class Unfit(SyncError):
    """What a person wrote cannot be sent. ``problems`` has a sentence for each field; none repeats a value."""

    def __init__(self, problems: "Mapping[str, str]") -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an operation would do now. ``skipped`` counts those that it would leave alone, by their state;
    ``at_least``: not all were looked at. ``pace`` is in requests a second; ``finish_s`` is how long it takes at that
    pace, in seconds, once new signups and other retries are through, or ``None`` where nothing is sent now."""

    eligible: int
    skipped: dict[State, int]
    at_least: bool
    pace: float
    finish_s: float | None


def retry(parts: "Parts", key: str, who: str, why: str = "") -> State:
    """Makes a contact due at once, with a fresh retry budget. Returns its new state."""
    answer = parts.store.retry_now(_known(parts, key).identifier, who=who)
    _refuse(answer)
    parts.store.audit(who, "retried", key, why)
    return State(answer)


def discard(parts: "Parts", key: str, who: str, why: str = "") -> None:
    """Gives a contact up. A person may still retry it."""
    record = _known(parts, key)
    if record.state is State.DISCARDED:
        raise NotDone(Reason.DISCARDED)
    answer = parts.store.discard(record.identifier)
    if answer != State.DISCARDED:
        _refuse(answer)
    parts.store.audit(who, "discarded", key, why)


def edit(parts: "Parts", key: str, fields: "Mapping[str, object]", who: str, why: str = "") -> State:
    """Mends fields of a contact (``EDITABLE``; ``None`` leaves one out) and makes it due at once. They are normalised
    as those of a delivery are. Returns its new state.

    Raises:
        Unfit: a field cannot be sent. In a delivery it would be left out; a person can mend it.
    """
    record = _known(parts, key)
    if record.contact is None:
        raise NotDone(Reason.CREATED)
    contact, notes = _mended(parts, record, record.contact, fields)
    answer = parts.store.edit(contact, notes, who=who, before=record.contact)
    _refuse(answer)
    parts.store.audit(who, f"edited {', '.join(name for name in EDITABLE if name in fields)}", key, why)
    return State(answer)


def adopt(parts: "Parts", key: str, who: str, why: str = "", *, contact_id: str | None = None) -> str:
    """Takes a contact in LiveDesk for the person of a conflict: that with this id, else the one that is in its way.
    LiveDesk is not asked, and the contact there keeps what it has. Returns its id."""
    record = _known(parts, key)
    contact_id = contact_id or record.owner_id
    if record.state is not State.CONFLICT or contact_id is None:
        raise NotDone(Reason.NO_OWNER)
    _refuse(parts.store.retry_now(record.identifier, who=who))
    claim = parts.store.claim(key, token_hex(8), asks=False)
    if claim is None:  # a worker was faster: it is tried again
        raise NotDone(Reason.BUSY)
    verdict = Verdict(
        state=State.CREATED,
        contact_id=contact_id,
        outcome=Outcome.ADOPTED,
        notes=(*claim.notes, Note("identifier", "adopted by hand: LiveDesk's contact keeps what it has")),
        signal=Signal.NOTHING,
    )
    if not parts.store.finish(claim, verdict, Attempt(claim.now, 0, trigger=who)).written:
        raise NotDone(Reason.BUSY)
    parts.store.audit(who, f"adopted {contact_id}", key, why)
    return contact_id


def reveal(parts: "Parts", key: str, who: str, why: str = "") -> "ContactRecord":
    """A contact with its personal data, which is noted before they are shown."""
    record = _known(parts, key)
    parts.store.audit(who, "revealed", key, why)
    return record


def reveal_list(parts: "Parts", wanted: Filter, who: str, why: str = "") -> None:
    """Notes that the personal data of all contacts that a filter finds are shown; to be called before."""
    parts.store.audit(who, f"revealed a list: {_words(wanted)}", why=why)


def preview(parts: "Parts", action: Action, wanted: Filter) -> Preview:
    """What an operation on these contacts would do now; nothing is changed."""
    counted, at_least = parts.lists.by_state(wanted)
    eligible = sum(number for state, number in counted.items() if state in action.eligible)
    upstream = parts.situations.upstream()
    finish_s = None
    if action is Action.DISCARD:
        finish_s = 0.0
    elif upstream.state == "up" and upstream.pace:
        finish_s = eligible / upstream.pace
    return Preview(
        eligible=eligible,
        skipped={state: number for state, number in counted.items() if state not in action.eligible},
        at_least=at_least,
        pace=upstream.pace,
        finish_s=finish_s,
    )


def start(
    parts: "Parts", action: Action, wanted: Filter, who: str, why: str = "", *, canary: bool = False
) -> Operation:
    """Begins an operation on the contacts that the filter finds now.

    Raises:
        NotOpened: an equal one is running, or too many are.
        Unfit: a canary waits for how its attempts go, and who is discarded has none.
    """
    if canary and action is Action.DISCARD:
        raise Unfit({"canary": "is for retries"})
    total = preview(parts, action, wanted).eligible
    operation_id = parts.operations.open(action, wanted, who=who, why=why, total=total, canary=canary)
    parts.store.audit(who, f"{action} {total}: {_words(wanted)}", f"operation {operation_id}", why)
    return operation(parts, operation_id)


def turn(parts: "Parts", operation_id: str, to: OperationState, who: str, why: str = "") -> Operation:
    """Pauses, resumes, cancels or undoes an operation."""
    before = operation(parts, operation_id)
    if not parts.operations.turn(operation_id, to):
        raise NotDone(Reason.WRONG_STATE, f"The operation is {before.state}: that cannot be done with it now.")
    parts.store.audit(who, WAYS[to], f"operation {operation_id}", why)
    return operation(parts, operation_id)


def operation(parts: "Parts", operation_id: str) -> Operation:
    found = parts.operations.read(operation_id)
    if found is None:
        raise NotDone(Reason.GONE, "There is no such operation.")
    return found


def pause(parts: "Parts", who: str, why: str = "") -> None:
    """Nothing is sent to LiveDesk until somebody resumes."""
    if not parts.store.pause(who, why):
        raise NotDone(Reason.ALREADY, "It is paused already.")
    parts.store.audit(who, "paused the sync", why=why)


def resume(parts: "Parts", who: str, why: str = "") -> None:
    """Ends a person's pause. Where the sync has stopped by itself, a probe goes at once."""
    if not parts.store.resume():
        raise NotDone(Reason.ALREADY, "It is not paused.")
    parts.store.audit(who, "resumed the sync", why=why)


def held(parts: "Parts", entry: str) -> Quarantined:
    """A delivery in quarantine."""
    found = parts.history.quarantined(entry)
    if found is None:
        raise NotDone(Reason.GONE, "There is no such delivery in quarantine.")
    return found


def reveal_held(parts: "Parts", entry: str, who: str, why: str = "") -> Quarantined:
    """A delivery in quarantine with its payload, which is noted before it is shown."""
    found = held(parts, entry)
    parts.store.audit(who, "revealed a delivery in quarantine", entry, why)
    return found


def replay(parts: "Parts", entry: str, who: str, why: str = "") -> str:
    """Reads a delivery in quarantine again. Returns ``accepted``, ``duplicate`` or ``ignored``.

    Raises:
        Unfit: it still makes no contact.
    """
    try:
        status = read_again(parts, held(parts, entry))
    except Unmappable as error:
        raise Unfit(error.problems) from error
    except BadBody as error:
        raise Unfit({"payload": str(error)}) from error
    parts.store.audit(who, "replayed a delivery in quarantine", entry, why)
    return status


def release(parts: "Parts", entry: str, who: str, why: str = "") -> None:
    """Drops a delivery in quarantine for good."""
    if not parts.store.release(entry):
        raise NotDone(Reason.GONE, "There is no such delivery in quarantine.")
    parts.store.audit(who, "discarded a delivery in quarantine", entry, why)


def _known(parts: "Parts", key: str) -> "ContactRecord":
    record = parts.history.contact_of(key)
    if record is None:
        raise NotDone(Reason.GONE)
    return record


def _words(wanted: Filter) -> str:
    return " ".join(f"{name}={value}" for name, value in wanted.dump().items())


def _refuse(answer: str) -> None:
    if answer in tuple(Reason):
        raise NotDone(Reason(answer))


def _mended(
    parts: "Parts", record: "ContactRecord", before: Contact, fields: "Mapping[str, object]"
) -> tuple[Contact, tuple[Note, ...]]:
    source = parts.sources.get(record.source)
    problems = dict.fromkeys(set(fields) - set(EDITABLE), "cannot be edited")
    try:
        made, remarks = normalise(
            {"identifier": record.identifier, **{name: fields[name] for name in EDITABLE if name in fields}},
            region=source.region if source else None,
        )
    except Unmappable as error:
        raise Unfit(problems | error.problems) from error
    problems |= {
        note.field: note.text.removeprefix("left out: ") for note in remarks if note.text.startswith("left out")
    }
    if problems:
        raise Unfit(problems)
    mended = replace(before, **{name: getattr(made, name) for name in fields})
    changed = [name for name in fields if getattr(mended, name) != getattr(before, name)]
    kept = tuple(note for note in record.notes if note.field not in changed)
    return mended, (*kept, *remarks, *(Note(name, "edited by hand") for name in changed))
