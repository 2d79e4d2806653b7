"""Every look at Redis. Nothing here changes anything."""

import json
from dataclasses import dataclass
from typing import Any

import redis

from worker import keys, record
from worker.durability import Health, judge, look
from worker.model import Attempt, Contact, Demands, Note, Outcome, Quarantined, State
from worker.redis_client import translated


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


@dataclass(frozen=True, slots=True)
class Workers:
    """When a worker on each host last made progress, and what time it is ``now``."""

    now: int
    seen: dict[str, int]


class History:
    """The read side. Every method raises ``StoreUnavailable`` or ``StoreError``."""

    def __init__(self, client: redis.Redis, demands: Demands | None = None) -> None:
        self.client = client
        self.demands = demands or Demands()

    def contact(self, identifier: str) -> ContactRecord | None:
        """The record of the contact with this identifier, or ``None``."""
        with translated():
            salt: Any = self.client.get(keys.SALT)
            if salt is None:
                return None
            fields: Any = self.client.hgetall(keys.contact(keys.contact_key(identifier, salt.encode())))
        return _load(fields) if fields else None

    def counts(self) -> dict[State, int]:
        """How many contacts are in each state."""
        with translated(), self.client.pipeline(transaction=False) as pipe:
            for state in State:
                pipe.zcard(keys.state(state))
            return dict(zip(State, pipe.execute(), strict=True))

    def queue_length(self) -> int:
        with translated():
            return int(self.client.llen(keys.QUEUE))

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
        closed_at=attempts[-1].at + attempts[-1].took_ms if state is State.CREATED else number("closed_at"),
        newer_fields=tuple(record.differing_fields(fields["fingerprint"], fields["newer"]))
        if "newer" in fields
        else (),
        newer_at=number("newer_at"),
    )
