"""Finds the deliveries in quarantine that contain a person's data, to erase them."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from webhook_app.parts import Parts
from webhook_app.receiver.replay import contact_in
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.model import Quarantined
from worker.phone_numbers import NotAPhoneNumber, to_e164
from worker.store.fingerprint import chunks_of, differing_values
from worker.store.record import ContactRecord

#: Deliveries that are listed at a time.
PAGE = 100
#: Characters of an identifier that is looked for anywhere in a payload: a shorter one can be another person's number.
MIN_DISTINCT = 6
#: Characters of a text that can be an e-mail address or a phone number.
MAX_TEXT = 320
EMAIL = re.compile(r"[^\s<>@,;:\"']+@[^\s<>@,;:\"']+")
PHONE = re.compile(r"\+?[0-9][-0-9 ()./]{5,30}")


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to look for: identifiers, addresses and phone numbers, in lower case.

    ``fingerprints`` have those of contacts whose data is gone, which are keyed with ``salt``.
    """

    identifiers: frozenset[str]
    values: frozenset[str]
    fingerprints: tuple[str, ...]
    salt: bytes

    def has(self, field: str, value: str) -> bool:
        """Whether this is the person's e-mail address or phone number."""
        if value.lower() in self.values:
            return True
        return any(
            field in chunks_of(one) and not differing_values(one, {field: value}, self.salt)
            for one in self.fingerprints
        )


@dataclass(frozen=True, slots=True)
class Traces:
    """How many deliveries were removed, and how many there was no time to search."""

    removed: int = 0
    not_searched: int = 0


def person_of(records: Iterable[ContactRecord], also: Iterable[str], salt: bytes) -> Person:
    """Return the person with these records, and more addresses and numbers."""
    known = list(records)
    contacts = [one.contact for one in known if one.contact]
    values = {value for one in contacts for value in (one.email, one.phone_number) if value} | {*also}
    return Person(
        frozenset(one.identifier.lower() for one in known),
        frozenset(value.strip().lower() for value in values),
        tuple(one.fingerprint for one in known if one.fingerprint),
        salt,
    )


def remove_traces(parts: Parts, person: Person, limit_s: float | None = None) -> Traces:
    """Delete the deliveries in quarantine that contain data of a person.

    After ``limit_s`` seconds the rest is not searched.
    """
    give_up_at = None if limit_s is None else time.monotonic() + limit_s
    entries = list(_entries(parts))
    removed = 0
    for number, entry in enumerate(entries):
        if give_up_at is not None and time.monotonic() > give_up_at:
            return Traces(removed, len(entries) - number)
        found = parts.store.quarantine.read(entry)
        if found and is_about(parts, person, found):
            removed += parts.store.quarantine.release(entry)
    return Traces(removed)


def is_about(parts: Parts, person: Person, one: Quarantined) -> bool:
    """Whether a delivery has the person's identifier, address or phone number.

    The identifier in a clash is perhaps another person's.
    """
    if one.clash:
        person = replace(person, identifiers=frozenset())
    contact = contact_in(parts, one)
    if contact and contact.identifier.lower() in person.identifiers:
        return True
    source = parts.sources.get(one.source)
    prefix, region = (source.id_prefix, source.region) if source else ("", None)
    return any(_names(person, text, prefix, region) for text in _texts(one))


def _entries(parts: Parts) -> Iterator[str]:
    offset = 0
    while page := parts.store.quarantine.page(offset=offset, limit=PAGE, with_payloads=False):
        yield from (one.entry for one in page)
        offset += PAGE


def _names(person: Person, text: str, prefix: str, region: str | None) -> bool:
    lower = text.strip().lower()
    if len(lower) >= MIN_DISTINCT and not person.identifiers.isdisjoint((lower, f"{prefix}{lower}".lower())):
        return True
    addresses = (each for address in EMAIL.findall(text) for each in (address, address.lower()))
    if any(person.has("email", each) for each in addresses):
        return True
    if PHONE.fullmatch(text.strip()):
        with suppress(NotAPhoneNumber):
            return person.has("phone_number", to_e164(text.strip(), region)[0])
    return False


def _texts(one: Quarantined) -> Iterator[str]:
    """Yield every text and number in a delivery, also in the names of its objects."""
    todo: list[object] = list(one.headers.values())
    with suppress(Unmappable):
        todo.append(load_payload(one.payload))
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            todo += value
        elif value is not None and len(text := str(value)) <= MAX_TEXT:
            yield text
