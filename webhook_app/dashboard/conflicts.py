"""A conflict, as a person resolves it: who is in the way, asked of LiveDesk on demand; and adopting."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING

from worker.errors import LiveDeskError
from worker.findings import describe
from worker.history import ContactRecord
from worker.livedesk import Person
from worker.model import Attempt, Note, Outcome, Signal, State, Verdict

if TYPE_CHECKING:
    from webhook_app import Parts

#: Fields that LiveDesk keeps unique, besides the identifier.
CLASHING = ("email", "phone_number")


@dataclass(frozen=True, slots=True)
class Found:
    """Whom LiveDesk shows, with the keys of those of ours that are that contact; or why it could not be asked."""

    people: list[Person] = field(default_factory=list)
    ours: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def clashing_field(record: ContactRecord) -> str | None:
    """The field of ours that another contact has in LiveDesk."""
    name = (record.cause or "").removesuffix("_taken")
    return name if name in CLASHING and record.contact and getattr(record.contact, name) else None


def ask(parts: "Parts", record: ContactRecord, *, sleep: Callable[[float], None] = time.sleep) -> Found:
    """Looks in LiveDesk for everybody who has this contact's identifier, e-mail address or phone number.

    It keeps the pace that workers keep, and does not ask while LiveDesk must not be asked.
    """
    state = parts.situations.upstream().state
    if parts.livedesk is None or state != "up":
        return Found(
            problem=f"LiveDesk is {state} now: it is not asked." if parts.livedesk else "It is not configured."
        )
    livedesk, people = parts.livedesk, {}
    questions: list[Callable[[], list[Person]]] = [lambda: livedesk.look_up(record.identifier)]
    for name in CLASHING:
        value = record.contact and getattr(record.contact, name)
        if value:
            questions.append(lambda name=name, value=value: livedesk.owners(name, value))  # type: ignore[misc]
    try:
        for question in questions:
            wait_ms = parts.store.pace(look_up=True)
            if wait_ms < 0:
                return Found(problem="The workers use all requests that LiveDesk allows. Try again in a few seconds.")
            sleep(wait_ms / 1000)
            people.update({person.id: person for person in question()})
    except LiveDeskError as error:
        _, text, todo = describe(error)
        return Found(problem=f"{text} {todo}")
    return Found(list(people.values()), _ours(parts, people))


def _ours(parts: "Parts", people: dict[str, Person]) -> dict[str, str]:
    """By the id of each that is a created contact of ours, its key."""
    found = {person_id: parts.lists.find(person_id) for person_id in people}
    records = parts.history.contacts_of([key for keys in found.values() for key in keys])
    return {
        person_id: key
        for person_id, keys in found.items()
        for key in keys
        if key in records and records[key].contact_id == person_id
    }


def adopt(parts: "Parts", key: str, record: ContactRecord, contact_id: str, who: str) -> str:
    """Takes LiveDesk's contact with this id for ours, without asking LiveDesk.

    Returns ``adopted``, or why not: ``gone``, ``busy``, ``created``.
    """
    answer = parts.store.retry_now(record.identifier, who=who)
    if answer in ("gone", "busy", "created"):
        return answer
    claim = parts.store.claim(key, token_hex(8), asks=False)
    if claim is None:
        return "busy"
    note = Note("identifier", "adopted by hand: LiveDesk's contact keeps what it has")
    verdict = Verdict(
        state=State.CREATED,
        contact_id=contact_id,
        outcome=Outcome.ADOPTED,
        notes=(*claim.notes, note),
        signal=Signal.NOTHING,
    )
    written = parts.store.finish(claim, verdict, Attempt(claim.now, 0, trigger=who)).written
    return "adopted" if written else "busy"
