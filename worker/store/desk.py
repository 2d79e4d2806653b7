"""Changes to what is kept besides the contacts: the quarantine, the audit, counts, what commands have found out; and
what commands do to a contact for good: it is forgotten, or put back.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import StoreFull
from worker.model import Account, Contact, Note, Progress, Quarantined
from worker.store import keys, record
from worker.store.connection import translated
from worker.store.contacts import QUEUE_BOUNDS, Store

#: Counts of a minute are kept for so many seconds (``lua/common.lua`` says the same).
MINUTE_KEPT_S = 25 * 3600
#: Entries of the audit that are kept.
AUDIT_MOST = 10_000
#: Deliveries that the quarantine holds at most, and for how long, in ms.
QUARANTINE_MOST = 1000
QUARANTINE_KEPT_MS = 14 * 24 * 3_600_000
#: How often one address may try to sign in to the dashboard, and in how many ms.
SIGN_INS = 10
SIGN_INS_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of a wish to forget: ``erased``, or why not: ``gone``, ``busy``. ``contact_id`` is LiveDesk's;
    ``is_unknown``: a create was sent, and nobody knows what became of it."""

    result: str
    contact_id: str = ""
    is_unknown: bool = False


class Desk:
    """Works over the connections of a store and by its clock, and raises what it raises."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def quarantine(self, held: Quarantined) -> None:
        """Keeps a delivery that could not be mapped, until it is released or its time is over.

        Raises:
            StoreFull: the quarantine holds as many as it may.
        """
        digest = f"{held.source}\n{held.payload}"
        entry = keys.contact_key(digest, self.store.salt().encode())
        problems, headers = json.dumps(held.problems), json.dumps(held.headers)
        terms = self.store.terms()
        if not terms.room:
            raise StoreFull("Redis's memory is nearly full")
        args = (held.source, held.payload, problems, headers, QUARANTINE_MOST)
        if not self.store.run("quarantine", entry, *args, wait=terms.wait):
            raise StoreFull("the quarantine is full")

    def release(self, entry: str, *, after_ms: int = 0) -> bool:
        """Removes a delivery from the quarantine, if it has been there for ``after_ms``. Returns whether it did."""
        return bool(self.store.run("release", entry, after_ms))

    def prune_quarantine(self) -> int:
        """Removes deliveries whose time is over, a bounded number at a time. Returns how many."""
        old = self.store.older(keys.QUARANTINE, QUARANTINE_KEPT_MS)
        return sum(self.release(entry, after_ms=QUARANTINE_KEPT_MS) for entry in old)

    def note_secret(self, source: str, name: str) -> None:
        """Notes that a delivery was proved with this secret just now."""
        with translated():
            self.store.client.hset(keys.SECRETS, f"{source}:{name}", str(self.store.now()))

    def count(self, counted: Mapping[str, int]) -> None:
        """Adds to the counts what happened elsewhere, by name, in this minute."""
        name = keys.minute(self.store.now() // 60_000)
        with translated(), self.store.client.pipeline(transaction=False) as pipe:
            for what, number in counted.items():
                pipe.hincrby(name, what, number)
                pipe.hincrby(keys.COUNTS, what, number)
            pipe.expire(name, MINUTE_KEPT_S)
            pipe.execute()

    def audit(self, who: str, did: str, target: str = "", why: str = "") -> None:
        """Notes what a person did by hand. ``target`` is a contact's key or the name of something, and no personal
        data, like ``why``, which the person is told."""
        entry: dict[Any, Any] = {"who": who, "did": did, "target": target, "why": why}
        with translated():
            self.store.client.xadd(keys.AUDIT, entry, maxlen=AUDIT_MOST, approximate=True)

    def note_account(self, name: str, found: Account) -> None:
        """Keeps what was found out about the LiveDesk account that goes by ``name`` (``LiveDesk.account``)."""
        answers = (found.unique, found.searchable, found.searchable_bare)
        told = ("" if answer is None else str(int(answer)) for answer in answers)
        self.store.run("note_account", "", keys.contact_key(name, self.store.salt().encode()), *told)

    def note_progress(self, progress: Progress | None) -> None:
        """Keeps how far ``flask reconcile`` has come; ``None``: it is done."""
        with translated():
            if progress is None:
                self.store.client.delete(keys.RECONCILE)
                return
            at, key = progress.place.at, progress.place.key
            fields: Any = {"at": at, "key": key, "checked": progress.checked, "found": progress.found}
            self.store.client.hset(keys.RECONCILE, mapping=fields)

    def ping(self) -> str | None:
        """Puts a message for nobody in the queue, to see whether a worker takes it. ``None``: there is no room."""
        message = self.store.hint.message(secrets.token_hex(8), secrets.token_hex(8))
        return message if self.store.run("ping", "", message, QUEUE_BOUNDS[-1]) else None

    def try_sign_in(self, address: str) -> int:
        """Counts a try to sign in from this address. Returns 0, or the ms to wait when there were too many."""
        return int(self.store.run("try_sign_in", self.store.key(address), SIGN_INS, SIGN_INS_MS))

    def erase(self, identifier: str) -> Erased:
        """Forgets the contact with this identifier, unless an attempt is running."""
        key = self.store.key(identifier)
        with translated():
            contact_id: Any = self.store.client.hget(keys.contact(key), "contact_id")
        answer = self.store.run("erase", key, self.store.finder_of_id(contact_id))
        return Erased(answer[0], answer[1], bool(answer[2])) if answer[0] == "erased" else Erased(answer[0])

    def put_back(self, key: str, contact_id: str, contact: Contact) -> bool:
        """Makes a created contact that LiveDesk does not have any more pending again, with what ``contact`` holds.
        ``False``: it is not created under this id (any more)."""
        fingerprint = record.fingerprint(contact, self.store.salt().encode())
        notes = record.dump_notes((Note("identifier", "LiveDesk did not have it any more: sent again"),))
        finder = self.store.finder_of_id(contact_id)
        return bool(self.store.run("put_back", key, contact_id, record.dump_data(contact), fingerprint, notes, finder))
