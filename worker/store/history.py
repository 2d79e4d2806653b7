"""Every look at Redis. Nothing here changes anything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

from worker.model import (
    Account,
    Attempt,
    Contact,
    Note,
    Outcome,
    Position,
    Progress,
    Quarantined,
    Requirements,
    State,
)
from worker.store import keys, record
from worker.store.connection import translated
from worker.store.durability import Health, judge, look


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """What we know about one contact. ``contact`` is ``None`` once it is created and its data are gone."""

    identifier: str
    state: State
    source: str
    received_at: int
    attempts: list[Attempt]
    attempts_made: int
    notes: tuple[Note, ...]
    contact: Contact | None
    outcome: Outcome | None = None
    contact_id: str | None = None
    cause: str | None = None
    owner_id: str | None = None
    next_attempt_at: int | None = None
    closed_at: int | None = None
    newer_fields: tuple[str, ...] = ()
    newer_at: int | None = None
    #: Since when the answer to a create is unknown.
    unknown_since: int | None = None
    lease_until: int | None = None
    #: Who asked for the next attempt, and the operation that it is part of.
    trigger: str = ""
    operation: str | None = None
    failures: int = 0
    spent_ms: int = 0


#: The fields of an entry of the audit.
AUDITED = ("who", "did", "target", "why")


@dataclass(frozen=True, slots=True)
class Held:
    """What is left of a created contact. ``noted`` are the fields that it has notes about."""

    place: Position
    identifier: str
    contact_id: str
    source: str
    fingerprint: str
    noted: frozenset[str]
    salt: bytes = field(repr=False)

    @property
    def is_bare(self) -> bool:
        """Whether it was brought to LiveDesk without e-mail address and phone number."""
        return not record.differing_values(self.fingerprint, {"email": None, "phone_number": None}, self.salt)

    def differing(self, shown: Mapping[str, str | None]) -> list[str]:
        """The fields that LiveDesk shows with other values than we brought there. What the notes tell is no news."""
        differing = record.differing_values(self.fingerprint, shown, self.salt)
        return [name for name in differing if name not in self.noted]


@dataclass(frozen=True, slots=True)
class Workers:
    """When a worker on each host last made progress, and what time it is ``now``."""

    now: int
    seen: dict[str, int]


@dataclass(frozen=True, slots=True)
class Audited:
    """What somebody did by hand: ``did`` it to ``target`` (a contact's key, or a name), at a time in ms."""

    id: str
    at: int
    who: str
    did: str
    target: str
    why: str


class History:
    """The read side. Every method raises ``StoreUnavailable`` or ``StoreError``."""

    def __init__(self, client: redis.Redis, demands: Requirements | None = None) -> None:
        self.client = client
        self.demands = demands or Requirements()

    def contact(self, identifier: str) -> ContactRecord | None:
        """The record of the contact with this identifier, or ``None``."""
        with translated():
            salt: Any = self.client.get(keys.SALT)
            if salt is None:
                return None
            fields: Any = self.client.hgetall(keys.contact(keys.contact_key(identifier, salt.encode())))
        return _load(fields) if fields else None

    def contact_of(self, key: str) -> ContactRecord | None:
        """The record with this key, or ``None``."""
        with translated():
            fields: Any = self.client.hgetall(keys.contact(key))
        return _load(fields) if fields else None

    def contacts_of(self, wanted: list[str]) -> dict[str, ContactRecord]:
        """The records with these keys; those that are gone are left out."""
        with translated(), self.client.pipeline(transaction=False) as pipe:
            for key in wanted:
                pipe.hgetall(keys.contact(key))
            found = pipe.execute()
        return {key: _load(fields) for key, fields in zip(wanted, found, strict=True) if fields}

    def counts(self) -> dict[State, int]:
        """How many contacts are in each state."""
        with translated(), self.client.pipeline(transaction=False) as pipe:
            for state in State:
                pipe.zcard(keys.state(state))
            return dict(zip(State, pipe.execute(), strict=True))

    def queue_length(self) -> int:
        with translated():
            return int(self.client.llen(keys.QUEUE))

    def is_waiting(self, message: str) -> bool:
        """Whether no worker has taken this message out of the queue yet."""
        with translated():
            return self.client.lpos(keys.QUEUE, message) is not None

    def server(self) -> tuple[str, str]:
        """The server's name and version. Valkey tells in ``redis_version`` which Redis it is compatible with."""
        with translated():
            info: dict[str, Any] = self.client.info("server")
        name = "Valkey" if "valkey_version" in info else "Redis"
        return name, str(info[f"{name.lower()}_version"])

    def now(self) -> int:
        """The time by Redis's clock."""
        with translated():
            seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def workers(self) -> Workers:
        """The hosts that workers run on."""
        with translated():
            seconds, microseconds = self.client.time()
            beats: Any = self.client.zrange(keys.WORKERS, 0, -1, withscores=True)
        return Workers(seconds * 1000 + microseconds // 1000, {name: int(at) for name, at in beats})

    def quarantine(self, *, offset: int = 0, limit: int = 100) -> list[Quarantined]:
        """Deliveries in quarantine, the oldest first."""
        with translated():
            found: Any = self.client.zrange(keys.QUARANTINE, offset, offset + limit - 1, withscores=True)
            with self.client.pipeline(transaction=False) as pipe:
                for entry, _ in found:
                    pipe.hgetall(keys.quarantined(entry))
                held = pipe.execute()
        return [
            _load_quarantined(entry, int(since), fields)
            for (entry, since), fields in zip(found, held, strict=True)
            if fields
        ]

    def quarantine_size(self) -> int:
        """How many deliveries are in quarantine."""
        with translated():
            return int(self.client.zcard(keys.QUARANTINE))

    def quarantined(self, entry: str) -> Quarantined | None:
        """One delivery in quarantine, or ``None``."""
        with translated():
            since: Any = self.client.zscore(keys.QUARANTINE, entry)
            fields: Any = self.client.hgetall(keys.quarantined(entry))
        return _load_quarantined(entry, int(since or 0), fields) if fields else None

    def secrets_used(self) -> dict[str, int]:
        """When each secret, as ``<source>:<name>``, last proved a delivery: ms since the epoch."""
        with translated():
            used: Any = self.client.hgetall(keys.SECRETS)
        return {name: int(at) for name, at in used.items()}

    def audit(self, *, before: str | None = None, limit: int = 50) -> list[Audited]:
        """What people did by hand, the latest first; ``before`` is an entry's id."""
        with translated():
            entries: Any = self.client.xrevrange(keys.AUDIT, max=f"({before}" if before else "+", count=limit)
        return [
            Audited(entry, int(entry.partition("-")[0]), *(fields.get(name, "") for name in AUDITED))
            for entry, fields in entries
        ]

    def contacts(self, state: State, behind: Position, limit: int) -> list[tuple[Position, ContactRecord]]:
        """A page of the contacts in this state, those first that are in it for longest, and the place of each."""
        return [(place, _load(fields)) for place, fields in self._page(state, behind, limit)]

    def created(self, behind: Position, limit: int) -> list[Held]:
        """Created contacts behind this place, the oldest first. Those that become so meanwhile come at the end."""
        with translated():
            salt: Any = self.client.get(keys.SALT)
        page = self._page(State.CREATED, behind, limit)
        return [_load_held(place, fields, salt) for place, fields in page if "contact_id" in fields]

    def _page(self, state: State, behind: Position, limit: int) -> list[tuple[Position, dict[str, str]]]:
        """Records behind this place in the index of a state; those that have gone meanwhile are left out."""
        index = keys.state(state)
        with translated():
            first: Any = self.client.zcount(index, "-inf", f"({behind.at}")
            if self.client.zscore(index, behind.key) == behind.at:  # else it is gone, or was created anew
                rank: Any = self.client.zrank(index, behind.key)
                first = rank + 1
            page: Any = self.client.zrange(index, first, first + limit - 1, withscores=True)
            with self.client.pipeline(transaction=False) as pipe:
                for key, _ in page:
                    pipe.hgetall(keys.contact(key))
                records = pipe.execute()
        rows = zip(page, records, strict=True)
        return [(Position(int(at), key), fields) for (key, at), fields in rows if fields]

    def progress(self) -> Progress | None:
        """How far ``flask reconcile`` has come; ``None``: it is not under way."""
        with translated():
            fields: Any = self.client.hgetall(keys.RECONCILE)
        if not fields:
            return None
        return Progress(Position(int(fields["at"]), fields["key"]), int(fields["checked"]), int(fields["found"]))

    def account(self, name: str) -> Account:
        """What was found out about the LiveDesk account that goes by ``name``; about another one nothing is known."""
        with translated():
            salt: Any = self.client.get(keys.SALT)
            fields: Any = self.client.hgetall(keys.ACCOUNT)
        if salt is None or not fields or fields["account"] != keys.contact_key(name, salt.encode()):
            return Account()
        answers = ("unique", "searchable", "searchable_bare")
        told = {answer: fields[answer] == "1" for answer in answers if fields[answer]}
        return Account(**told, probed_at=int(fields["probed_at"]))

    def health(self) -> Health:
        """Whether an acknowledged delivery is as safe here as it must be, and whether one would be taken."""
        server = look(self.client)
        with translated():
            backlog = 0 if server.info.get("loading") else int(self.client.zcard(keys.DUE))
        return judge(server, self.demands, backlog)


def _load_quarantined(entry: str, since: int, fields: dict[str, str]) -> Quarantined:
    return Quarantined(
        source=fields["source"],
        payload=fields["payload"],
        problems=json.loads(fields["problems"]),
        headers=json.loads(fields["headers"]),
        entry=entry,
        since=since,
    )


def _load_held(place: Position, fields: dict[str, str], salt: str) -> Held:
    notes = record.load_notes(fields.get("notes"))
    return Held(
        place=place,
        identifier=fields["identifier"],
        contact_id=fields["contact_id"],
        source=fields["source"],
        fingerprint=fields["fingerprint"],
        noted=frozenset(note.field for note in notes),
        salt=salt.encode(),
    )


def _load(fields: dict[str, str]) -> ContactRecord:
    def number(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    state = State(fields["state"])
    attempts = record.load_attempts(fields.get("attempts"))
    return ContactRecord(
        identifier=fields["identifier"],
        state=state,
        source=fields["source"],
        received_at=int(fields["received_at"]),
        attempts=attempts,
        attempts_made=int(fields.get("attempts_made", 1 if state is State.CREATED else 0)),
        notes=record.load_notes(fields.get("notes")),
        contact=record.load_contact(fields["identifier"], fields["data"]) if "data" in fields else None,
        outcome=Outcome(fields.get("outcome", Outcome.CREATED)) if state is State.CREATED else None,
        contact_id=fields.get("contact_id"),
        cause=fields.get("cause"),
        owner_id=fields.get("owner_id"),
        next_attempt_at=number("next_attempt_at"),
        closed_at=attempts[-1].at + attempts[-1].duration_ms if state is State.CREATED else number("closed_at"),
        newer_fields=tuple(record.differing_fields(fields["fingerprint"], fields["newer"]))
        if "newer" in fields
        else (),
        newer_at=number("newer_at"),
        unknown_since=number("unknown_since"),
        lease_until=number("lease_until"),
        trigger=fields.get("trigger", ""),
        operation=fields.get("operation"),
        failures=number("failures") or 0,
        spent_ms=number("spent_ms") or 0,
    )
