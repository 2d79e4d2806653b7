"""The contacts in LiveDesk that share a value with one of ours."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from webhook_app.parts import Parts
from worker.errors import LiveDeskError
from worker.livedesk.answers import Person
from worker.model import UNIQUE_FIELDS, Outcome
from worker.store.record import ContactRecord


@dataclass(frozen=True, slots=True)
class Comparison:
    """The people in LiveDesk; ``ours`` maps the ids that we created to our keys."""

    people: list[Person] = field(default_factory=list)
    ours: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def compare(parts: Parts, record: ContactRecord, *, sleep: Callable[[float], None] = time.sleep) -> Comparison:
    """Look up everyone in LiveDesk with this contact's identifier, e-mail or phone.

    It keeps the workers' pace, and sends nothing while LiveDesk is paused or down.
    """
    livedesk = parts.livedesk
    if livedesk is None:
        return Comparison(problem="LiveDesk is not configured.")
    state = parts.store.upstream.read().state
    if state != "up":
        return Comparison(problem=f"LiveDesk is {state}. Try again when it is up.")
    values = {name: record.contact and getattr(record.contact, name) for name in UNIQUE_FIELDS}
    searches: list[Callable[[], list[Person]]] = [
        partial(livedesk.look_up, record.identifier),
        *(partial(livedesk.find_owners, name, value) for name, value in values.items() if value),
    ]
    people: dict[str, Person] = {}
    try:
        for search in searches:
            wait_ms = parts.store.upstream.pace(look_up=True)
            if wait_ms < 0:
                return Comparison(problem="The workers use the full request rate. Try again in a few seconds.")
            sleep(wait_ms / 1000)
            people |= {person.id: person for person in search()}
    except LiveDeskError as error:
        return Comparison(problem=f"{error.cause.title}. {error.cause.todo}")
    ours = {person_id: our_contact(parts, person_id) for person_id in people}
    return Comparison(list(people.values()), {person_id: key for person_id, key in ours.items() if key})


def our_contact(parts: Parts, contact_id: str) -> str | None:
    """Return the key of our contact that has this id in LiveDesk, or ``None``.

    One whose identifier LiveDesk has comes first.
    """
    records = parts.store.contacts.read_many(parts.store.lists.search(contact_id))
    ours = {key: record.outcome is Outcome.KNOWN for key, record in records.items() if record.contact_id == contact_id}
    return min(ours, key=lambda key: (ours[key], key), default=None)
