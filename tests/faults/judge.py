"""What must be true after a run, judged from the outside.

Judged are the answers to senders, the contacts and requests in LiveDesk, and ``GET /contacts/<identifier>``. Pure
functions; each broken promise is a sentence.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.e2e.test_misbehaviour import HARMLESS
from tests.faults.inject import Injected
from tests.faults.plan import SETTLE_S
from tests.faults.sender import TAKEN, Sent
from tests.livedesk import Contact, LedgerEntry, RequestRecord
from worker.retry import MAX_SUSPECT

#: Clocks of two processes are compared, on a machine that is busy, in seconds.
TOLERANCE_S = 0.1
#: How much less than the settle time LiveDesk may see while its link is harmed: a request that is delayed on its way
#: was sent that much earlier, and a client that was cut off stopped waiting at once.
HARMED_TOLERANCE_S = 0.5
#: Answers of a look-up that hides contacts: they bear out that one was there and could not be found.
HIDING = {"invisible", "crm_v2", "search_lag"}
#: A contact made while LiveDesk drops identifiers is LiveDesk's to find again.
DROPS_IDENTIFIER = "identifier_not_stored"
#: The attribute of a contact whose person was deleted at the source.
MARK = "account_deleted_at"
#: Faults of links or workers after which LiveDesk and the worker do not know the same of a request.
STOPS = {"stop", "oversleep"}
PARTING = {"cut", "delay", "reset", "silence", *STOPS}
#: Seconds that a request or its answer may be on its way, on a machine that is busy.
ON_ITS_WAY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The evidence.

    ``records`` has what the API returns by identifier, and ``None`` for 404.
    """

    sent: Sequence[Sent]
    injected: Sequence[Injected]
    requests: Sequence[RequestRecord]
    ledger: Sequence[LedgerEntry]
    contacts: Sequence[Contact]
    records: Mapping[str, Mapping[str, Any] | None]


class Judge:
    """The broken promises, and the identifiers of people who were lost or duplicated.

    Or of whom LiveDesk has something else than the newest event says.
    """

    def __init__(self, evidence: Evidence, settle_s: float = SETTLE_S) -> None:
        self.evidence = evidence
        self.settle_s = settle_s
        self.broken: list[str] = []
        self.lost: set[str] = set()
        self.duplicated: set[str] = set()
        #: Whose contact is not what the newest event says.
        self.untrue: set[str] = set()
        #: Creates that a worker sent when its lease was over, since it had been stopped in the moment before.
        self.overslept: list[str] = []
        self.by_id = {contact.id: contact for contact in evidence.contacts}
        self.holders: dict[str, list[Contact]] = _grouped(evidence.contacts)
        self.requests: dict[str, list[RequestRecord]] = _grouped(evidence.requests)
        modes = {request.number: request.mode for request in evidence.requests}
        self.sent: dict[str, list[Sent]] = defaultdict(list)
        for sent in evidence.sent:
            self.sent[sent.parcel.identifier].append(sent)
        #: The records of each contact in LiveDesk: the aliases of one person.
        self.linked: dict[Any, set[str]] = defaultdict(set)
        for identifier, record in evidence.records.items():
            if record is not None and record.get("contact_id") is not None:
                self.linked[record["contact_id"]].add(identifier)
        #: Creates that LiveDesk executed, by identifier; and those of them of which it dropped the identifier.
        self.executed: dict[str, list[LedgerEntry]] = _grouped(evidence.ledger)
        self.dropped = {entry.contact_id for entry in evidence.ledger if modes.get(entry.request) == DROPS_IDENTIFIER}

    def judge(self) -> "Judge":
        acknowledged = {sent.parcel.identifier for sent in self.evidence.sent if sent.acknowledged is not None}
        for sent in self.evidence.sent:
            if sent.acknowledged is not None and sent.status not in TAKEN:
                self.broken.append(f"{sent.parcel.identifier}: a sign-up was answered 200 and {sent.status}")
        self._judge_refusals()
        for identifier in sorted(acknowledged):
            self._judge_person(identifier, self.evidence.records.get(identifier))
        for identifier in sorted(self.executed):
            self._judge_copies(identifier)
            self._judge_patience(identifier)
        return self

    # Good deliveries are not refused

    def _judge_refusals(self) -> None:
        """Check that no sender gave up because of answers that blame its delivery.

        While a receiver's clock is wrong, it takes good signatures for old ones: a few such answers are the fault's.
        """
        refused = [
            sent
            for sent in self.evidence.sent
            if sent.acknowledged is None
            if sum(answer.startswith("4") for answer in sent.answers) > len(sent.answers) / 2
        ]
        if refused:
            self.broken.append(f"{len(refused)} good deliveries were given up because of answers of 4xx")

    # Everybody is there, or it is said truly why not (I1, I5)

    def _judge_person(self, identifier: str, record: Mapping[str, Any] | None) -> None:
        if record is None:
            self._lose(identifier, "acknowledged, and nothing is known of them")
        elif record["state"] == "created":
            self._judge_created(identifier, record)
        elif record["state"] == "conflict":
            self._judge_conflict(identifier, record)
        elif record["state"] == "failed":
            self._judge_failed(identifier, record)
        elif record["state"] == "deleted":
            self._judge_deleted(identifier, record)
        else:
            self._lose(identifier, f"still {record['state']} ({record['cause']}) when everything had been healed")

    def _judge_created(self, identifier: str, record: Mapping[str, Any]) -> None:
        contact = self.by_id.get(record["contact_id"])
        if contact is None:
            self._lose(identifier, f"created as contact {record['contact_id']}, which LiveDesk does not have")
        elif record.get("outcome") == "known":
            if not self._share_address(identifier, contact):
                self._lose(identifier, f"known as contact {contact.id}, which has another address")
        elif contact.identifier != identifier and contact.id not in self.dropped:
            self._lose(identifier, f"created as contact {contact.id}, which is somebody else")
        elif contact.identifier is None and contact.id not in {e.contact_id for e in self.executed[identifier]}:
            self._lose(identifier, f"created as contact {contact.id}, which no delivery requested")
        else:
            self._judge_life(identifier, record, contact)

    # LiveDesk has what the newest event says (I5)

    def _newest(self, identifier: str) -> list[Sent]:
        """Return the deliveries whose event may be the newest one.

        Nobody knows which of two events of one time arrived last, and whether a delivery without an answer did.
        """
        sent = self.sent[identifier]
        latest = max(one.parcel.happened for one in sent if one.acknowledged is not None)
        return [
            one
            for one in sent
            if one.parcel.happened == latest or (one.acknowledged is None and one.parcel.happened > latest)
        ]

    def _judge_life(self, identifier: str, record: Mapping[str, Any], contact: Contact) -> None:
        """Compare a created contact with the newest event, unless it has aliases."""
        newest = self._newest(identifier)
        if all(one.parcel.deletes for one in newest):
            self._mistake(identifier, "the newest event deletes this person, who is alive here")
        elif len(self.linked[contact.id]) > 1:
            return
        elif contact.custom_attributes.get(MARK):
            self._mistake(identifier, f"alive, and contact {contact.id} is marked as deleted")
        else:
            noted = {note["field"] for note in record.get("notes", ())}
            has = _fields_of(contact)
            wrong = [
                [name for name in has if name not in noted and has[name] != _wanted(one.parcel.data)[name]]
                for one in newest
                if not one.parcel.deletes
            ]
            if all(wrong):
                self._mistake(
                    identifier, f"contact {contact.id} has another {', '.join(wrong[-1])} than the newest event"
                )

    def _judge_deleted(self, identifier: str, record: Mapping[str, Any]) -> None:
        """Check that the person does not come back, unless another record lives."""
        if not any(one.parcel.deletes for one in self._newest(identifier)):
            self._lose(identifier, "deleted, and a newer event brought them back")
            return
        contacts = {contact.id: contact for contact in self.holders[identifier]}
        if record.get("contact_id") in self.by_id:
            contacts[record["contact_id"]] = self.by_id[record["contact_id"]]
        for contact in contacts.values():
            if not contact.custom_attributes.get(MARK) and not self._lives(contact, identifier):
                self._mistake(identifier, f"deleted, and contact {contact.id} does not say so")

    def _lives(self, contact: Contact, identifier: str) -> bool:
        """Return whether another record of this contact is not deleted."""
        others = {*self.linked[contact.id], contact.identifier} - {identifier, None}
        records = [self.evidence.records.get(str(other)) for other in others]
        return any(record is not None and record["state"] != "deleted" for record in records)

    def _judge_conflict(self, identifier: str, record: Mapping[str, Any]) -> None:
        cause = record["cause"]
        if cause == "exists_but_not_found":
            hidden = any(request.mode in HIDING for request in self._of(identifier, "search"))
            refused = any(request.verdict == 422 for request in self._of(identifier, "create"))
            if not (hidden and refused and self.holders[identifier]):
                self._lose(identifier, "conflict, for it exists and was not found, which LiveDesk does not bear out")
        elif cause == "email_taken":
            owner = self.by_id.get(record["owner_id"])
            if owner is None or owner.identifier == identifier or not self._share_address(identifier, owner):
                self._lose(identifier, "conflict, for its address is taken, which LiveDesk does not bear out")
        else:
            self._lose(identifier, f"conflict ({cause}), which nothing that was injected explains")

    def _judge_failed(self, identifier: str, record: Mapping[str, Any]) -> None:
        """Allow contacts that failed repeatedly, although none causes a misbehaviour."""
        if record["cause"] == "poisonous" and self._is_poisoned(identifier):
            return
        self._lose(identifier, f"failed ({record['cause']}), which nothing that was injected explains")

    def _is_poisoned(self, identifier: str) -> bool:
        """Return whether LiveDesk failed often for them, and answered others between."""
        failed = [request for request in self.requests[identifier] if self._has_failed(request)]
        return len(failed) >= MAX_SUSPECT and all(
            any(
                other.identifier != identifier and not self._has_failed(other)
                for other in self._finished_between(earlier.received, later.finished or math.inf)
            )
            for earlier, later in pairwise(failed[-MAX_SUSPECT:])
        )

    def _has_failed(self, request: RequestRecord) -> bool:
        return (request.mode is not None and request.mode not in HARMLESS) or self._were_parted(request)

    def _finished_between(self, since: float, until: float) -> Iterator[RequestRecord]:
        return (request for request in self.evidence.requests if since < (request.finished or math.inf) < until)

    def _judge_copies(self, identifier: str) -> None:
        """Check that LiveDesk has the contact once."""
        made = [entry.contact_id for entry in self.executed[identifier] if entry.contact_id not in self.dropped]
        if len(made) > 1 or len(self.holders[identifier]) > 1:
            self.duplicated.add(identifier)
            self.broken.append(f"{identifier}: created more than once, as contacts {made}")

    # No create while an earlier answer is unknown (I4)

    def _judge_patience(self, identifier: str) -> None:
        """Check I4: creates after a lost or useless answer.

        The next one was sent only after the settle time, and after a look-up that began later had found nothing.
        """
        searches = self._of(identifier, "search")
        for earlier, later in pairwise(self._of(identifier, "create")):
            if earlier.status is not None and 300 <= earlier.status < 500:
                continue  # LiveDesk said that it had not executed it
            parted = self._were_parted(earlier)
            ended = earlier.received if parted or earlier.finished is None else earlier.finished
            settled = ended + self.settle_s - (HARMED_TOLERANCE_S if parted else TOLERANCE_S)
            if any(settled <= search.received <= later.received for search in searches):
                continue
            if self._overslept(earlier) or self._overslept(later):
                self.overslept.append(identifier)
            else:
                self.broken.append(
                    f"{identifier}: create {later.number} came {later.received - earlier.received:.3f} s after create "
                    f"{earlier.number} ({earlier.mode or 'well'}, {earlier.status}, {earlier.ending}), and no look-up "
                    "after the settle time came before it"
                )

    def _overslept(self, create: RequestRecord) -> bool:
        """Whether a worker that had slept for longer than its lease woke up just before.

        If it fell asleep in the few ms between its look at the lease and the request, it sends that now. LiveDesk has
        nothing that would tell it to refuse an old one, so nobody can close this gap; that nobody is created twice is
        judged all the same.
        """
        return any(
            0 <= create.received - self._woke_up(injected) <= ON_ITS_WAY_S
            for injected in self.evidence.injected
            if injected.fault.kind == "oversleep"
        )

    def _woke_up(self, oversleep: Injected) -> float:
        """Return when the worker went on: later than planned if it was stopped once more meanwhile."""
        stops = (
            other.healed
            for other in self.evidence.injected
            if other.fault.kind == "stop" and other.fault.target == oversleep.fault.target
            if other.began <= oversleep.healed <= other.healed
        )
        return max(stops, default=oversleep.healed)

    def _were_parted(self, create: RequestRecord) -> bool:
        """Return whether a fault hit the link or the worker during this request."""
        began, ended = create.received - ON_ITS_WAY_S, (create.finished or math.inf) + ON_ITS_WAY_S
        return any(
            injected.began <= ended and (injected.began if injected.fault.kind in STOPS else injected.healed) >= began
            for injected in self.evidence.injected
            if injected.fault.kind in PARTING and injected.fault.sort in ("livedesk", "worker")
        )

    def _of(self, identifier: str, kind: str) -> list[RequestRecord]:
        return [request for request in self.requests[identifier] if request.kind == kind]

    def _addresses(self, identifier: str | None) -> set[Any]:
        return {sent.parcel.data.get("email") for sent in self.sent.get(identifier or "", ())} - {None}

    def _share_address(self, identifier: str, contact: Contact) -> bool:
        """Return whether a contact has an address of this person, or had it before a change."""
        return bool(({contact.email} | self._addresses(contact.identifier)) & self._addresses(identifier))

    def _mistake(self, identifier: str, what: str) -> None:
        self.untrue.add(identifier)
        self.broken.append(f"{identifier}: {what}")

    def _lose(self, identifier: str, why: str) -> None:
        self.lost.add(identifier)
        self.broken.append(f"{identifier}: {why}")


def _grouped(items: Iterable[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        groups[item.identifier].append(item)
    return groups


def _fields_of(contact: Contact) -> dict[str, Any]:
    """Return the fields of a contact that deliveries change."""
    return {
        "name": contact.name or None,
        "email": contact.email,
        "phone_number": contact.phone_number,
        "custom_attributes": contact.custom_attributes.get("plan"),
    }


def _wanted(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same fields as a delivery has them."""
    names = ("name", "email", "phone_number")
    return {name: data.get(name) for name in names} | {
        "custom_attributes": (data.get("custom_attributes") or {}).get("plan")
    }


def secrets_in(texts: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Return a sentence for each text that contains personal data or a secret (I7)."""
    return [
        f"{name} holds {what}" for name, text in texts.items() for what, secret in secrets.items() if secret in text
    ]


def recovery_s(healed: float, events: Sequence[float]) -> float | None:
    """Return the seconds from each fault's end to the next of these sorted moments."""
    return next((moment - healed for moment in events if moment >= healed), None)
