"""Finds a person in payloads of unknown shape.

This is for senders without a preset of their own. They wrap people differently, and spell fields differently. What is
common is listed here, and nothing is guessed beyond it. Names are compared without case and punctuation:
``First Name``, ``first_name`` and ``firstName`` are one.

A delivery often has an id of its own beside the person. It must never become an identifier: the next event of the same
person would be another contact.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import Path, Scope, Work

#: What an event has inside, from the outside in: CloudEvents and Standard Webhooks have ``data``, Stripe and Auth0
#: ``data.object``, Supabase ``record``, Hasura ``event.data.new``, Debezium ``payload.after``, Strapi ``entry``,
#: EventBridge ``detail``, Chargebee ``content``, Pipedrive ``current``, n8n ``json`` and ``body``,
#: MongoDB ``fullDocument``.
WRAPPERS = (
    *("data", "payload", "object", "record", "entry", "item", "resource", "detail", "event", "new", "after"),
    *("content", "current", "body", "json", "message", "signup", "registration", "fulldocument"),
)
#: The names of the person in an event. Not here: accounts and companies, and who caused the event.
PEOPLE = (
    *("user", "newuser", "contact", "customer", "member", "person", "subscriber", "lead"),
    *("registrant", "attendee", "participant", "applicant", "invitee"),
)
#: Parts of a person that hold fields: JSON:API has ``attributes``, Airtable ``fields``, HubSpot ``properties``, Okta
#: ``profile``, Segment ``traits``, Keycloak ``details``.
PARTS = ("attributes", "fields", "properties", "profile", "traits", "details")
#: Parts of a person only if the person's name is outside: else what is outside is an event.
CONTACT_PARTS = ("contact", "contactinfo", "contactdetails")
#: Wrappers that are never the person themselves: they describe what happened.
EVENTS = ("event", "message")
#: Levels of wrappers.
MAX_DEPTH = 4

#: Ids of the object that they are in.
OWN_IDS = ("id", "uuid", "guid", "uid", "objectid", "uniqueid", "pk")
#: Ids that can only be a person's.
PERSON_IDS = (
    *("userid", "useruuid", "customerid", "contactid", "memberid", "personid", "subscriberid", "leadid", "sub"),
    *("externalid", "externaluserid"),
)
#: What only a person has. ``name`` alone can be an event's.
TRAITS = (
    *("email", "emailaddress", "mail", "emails", "useremail", "contactemail", "customeremail", "memberemail"),
    *("phone", "phonenumber", "mobile", "mobilephone", "mobilenumber", "phonenumbers", "cellphone", "telephone"),
    *("firstname", "lastname", "givenname", "familyname", "surname", "fullname", "displayname"),
)
#: With one of these an object is an event, whatever the text in it.
MARKERS = ("event", "eventtype", "eventname", "topic", "specversion", "webhookid", "webhookevent", "trigger")
#: With one of these it is an event if the text is like the name of one: ``user.created``, not ``lead``.
TYPES = ("type", "action", "object", "kind")
_EVENT = re.compile(
    r"[\w-]+(?:[.:/][\w-]+)+|event|notification|[\w -]*(?:(?:creat|updat|delet|subscrib|activat|invit)ed?"
    r"|(?:add|register|insert|join|confirm|verifi)(?:ed)?|sign(?:ed)?[ _-]?up|registration|log[ _-]?in)",
    re.IGNORECASE,
)
#: How ids of events begin.
_EVENT_ID = re.compile(
    r"(?:evt|event|msg|message|wh|whk|webhook|ntf|notif|notification|delivery|req|request)_", re.IGNORECASE
)
#: Characters; longer names are none of those above, and are not compared.
_MAX_NAME = 64


@lru_cache(maxsize=2048)
def plain(name: str) -> str:
    """Return a name without case and punctuation: ``First Name`` is ``firstname``."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def members(value: Any, work: Work) -> dict[str, list[Any]]:
    """Return the members of an object by their plain names, and nothing for others."""
    if not isinstance(value, dict):
        return {}
    if (known := work.members.get(id(value))) is not None:
        return known[1]
    work.spend(1 + len(value) // 2)
    found: dict[str, list[Any]] = {}
    for name, member in value.items():
        if len(name) <= _MAX_NAME:
            found.setdefault(plain(name), []).append(member)
    work.members[id(value)] = (value, found)
    return found


@dataclass(frozen=True, slots=True)
class Named:
    """The first usable member with one of these names, in the contact or at ``place``."""

    names: tuple[str, ...]
    place: Path | None = None

    def value(self, payload: object, scope: Scope) -> object:
        values = self.values(payload, scope)
        return next((value for value in values if scope.usable(value)), _first_of(values))

    def values(self, payload: object, scope: Scope) -> list[object]:
        holder = payload if self.place is None else self.place.value(payload, scope)
        found = members(holder, scope.work)
        if found.keys().isdisjoint(self.names):
            return []
        return [value for name in self.names for value in found.get(name, ())]


def compile_named(names: list[object], place: str = "") -> Named:
    """Compile a rule that finds a member by name.

    Raises:
        ValueError: one of the names is not text, or has neither a letter nor a digit.
    """
    spelled = tuple(plain(name) for name in names if isinstance(name, str))
    if not names or len(spelled) < len(names) or not all(spelled):
        raise ValueError("named must be a list of names")
    return Named(spelled, compile_path(place) if place else None)


@dataclass(frozen=True, slots=True)
class PersonId:
    """The id of the person that an object describes, never that of an event.

    An event's own id counts only if the person's fields are beside it and no id is named as a person's. If they are
    further inside, an id that is named so may be that of who caused the event.
    """

    def value(self, payload: object, scope: Scope) -> object:
        found = members(payload, scope.work)
        is_event = _is_event(found)
        named = list(_all(found, PERSON_IDS))
        own = [value for value in _all(found, OWN_IDS) if not _is_event_id(value)]
        if not _has_traits(found):
            inside = [one for value in _all(found, (*WRAPPERS, *PEOPLE)) for one in _objects(value)]
            is_outside = any(isinstance(one, str) or _has_traits(members(one, scope.work)) for one in inside)
            own = [] if is_event or is_outside or (any(inside) and not _has_own_name(found)) else own
            named = [] if is_outside else named
        values = [*named, *own] if is_event else [*own, *named]
        return next((value for value in values if scope.usable(value)), _first_of(values))


@dataclass(frozen=True, slots=True)
class Person:
    """Selects the object that describes a person, from the inside of an event out."""

    def candidates(self, payload: object, scope: Scope) -> list[object]:
        """Return the objects to look for an identifier in, best first."""
        found = list(_people(payload, scope.work))
        return sorted(found, key=lambda one: not _has_traits(members(one, scope.work)))


def _people(
    value: Any, work: Work, outer: tuple[Any, ...] = (), depth: int = 0, *, is_event: bool = False
) -> Iterator[object]:
    """Yield the objects in ``value`` from the inside out.

    ``outer`` has the ``identifier`` around them, if there is one. ``is_event``: ``value`` itself is not a person.
    """
    found = members(value, work)
    if not found:
        return
    inner = tuple(found.get("identifier", outer))
    wrappers = [name for name in WRAPPERS if name in found] if depth < MAX_DEPTH else []
    for name in wrappers:
        for inside in _all(found, (name,)):
            objects = _objects(inside)
            only = objects[0] if len(objects) == 1 else None
            yield from _people(only, work, inner, depth + 1, is_event=name in EVENTS)
    for person in _all(found, PEOPLE):
        if isinstance(person, dict):
            yield _completed(person, inner, work)
    if not is_event:
        yield _completed(value, outer, work)


def _completed(person: dict[str, Any], identifiers: tuple[Any, ...], work: Work) -> dict[str, Any]:
    """Return the person with the fields in its parts and the identifier around it.

    Its own win, unless they are blank.
    """
    found = members(person, work)
    parts = [part for part in _all(found, PARTS) if isinstance(part, dict)]
    contacts = [part for part in _all(found, CONTACT_PARTS) if isinstance(part, dict) and not _has_id(part, work)]
    if contacts and (_has_own_name(found) or _has_traits(found)):
        parts += contacts
    if identifiers and not _has_id(person, work):
        parts.append({"identifier": identifiers[0]})
    if not parts:
        return person
    work.spend(1 + sum(map(len, parts)) // 2)
    merged: dict[str, Any] = {}
    for part in (*reversed(parts), person):
        merged |= {name: value for name, value in part.items() if value not in (None, "") or name not in merged}
    return merged


def _has_id(value: Any, work: Work) -> bool:
    return any(True for _ in _all(members(value, work), (*OWN_IDS, *PERSON_IDS)))


def _objects(value: object) -> list[object]:
    """Return an object, or the objects in a list.

    JSON as text counts as an object that cannot be read.
    """
    if isinstance(value, str):
        return [value] if value.lstrip()[:1] in ("{", "[") and len(value) > 2 else []
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _first_of(values: list[Any]) -> object:
    return next((value for value in values if value is not None), None)


def _all(found: dict[str, list[Any]], names: tuple[str, ...]) -> Iterator[Any]:
    if found.keys().isdisjoint(names):
        return
    for name in names:
        for value in found.get(name, ()):
            if isinstance(value, dict) and "$oid" in value:  # MongoDB's extended JSON
                yield value["$oid"]
            elif value is not None:
                yield value


def _has_traits(found: dict[str, list[Any]]) -> bool:
    return any(value not in ("", [], {}) for value in _all(found, TRAITS))


def _is_event(found: dict[str, list[Any]]) -> bool:
    return any(isinstance(value, str) and value for value in _all(found, MARKERS)) or any(
        _is_event_name(value) for value in _all(found, TYPES)
    )


def _has_own_name(found: dict[str, list[Any]]) -> bool:
    names = list(_all(found, ("name",)))
    return bool(names) and not any(map(_is_event_name, names))


def _is_event_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_NAME and _EVENT.fullmatch(value.strip()) is not None


def _is_event_id(value: object) -> bool:
    return isinstance(value, str) and _EVENT_ID.match(value) is not None
