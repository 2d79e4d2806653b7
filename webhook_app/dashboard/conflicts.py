"""A conflict, as a person resolves it: who is in the way, asked of LiveDesk on demand."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from webhook_app.operator.contacts import CLASHING
from worker.errors import LiveDeskError
from worker.livedesk.client import Person
from worker.store.record import ContactRecord

if TYPE_CHECKING:
    from webhook_app.parts import Parts


@dataclass(frozen=True, slots=True)
class Found:
    """Whom LiveDesk shows, with the keys of those of ours that are that contact; or why it could not be asked."""

    people: list[Person] = field(default_factory=list)
    ours: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def ask(parts: "Parts", record: ContactRecord, *, sleep: Callable[[float], None] = time.sleep) -> Found:
    """Looks in LiveDesk for everybody who has this contact's identifier, e-mail address or phone number.

    It keeps the pace that workers keep, and does not ask while LiveDesk must not be asked.
    """
    state = parts.store.upstream.read().state
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
            wait_ms = parts.store.upstream.pace(look_up=True)
            if wait_ms < 0:
                return Found(problem="The workers use all requests that LiveDesk allows. Try again in a few seconds.")
            sleep(wait_ms / 1000)
            people.update({person.id: person for person in question()})
    except LiveDeskError as error:
        return Found(problem=f"{error.cause.title}. {error.cause.todo}")
    return Found(list(people.values()), _ours(parts, people))


def _ours(parts: "Parts", people: dict[str, Person]) -> dict[str, str]:
    """By the id of each that is a created contact of ours, its key."""
    found = {person_id: parts.store.lists.search(person_id) for person_id in people}
    records = parts.store.contacts.read_many([key for keys in found.values() for key in keys])
    return {
        person_id: key
        for person_id, keys in found.items()
        for key in keys
        if key in records and records[key].contact_id == person_id
    }
