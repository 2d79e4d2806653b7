"""Deliveries in quarantine: reveal, replay, discard; resolve a clash."""

import json
import time
from collections import Counter
from dataclasses import dataclass

from webhook_app.operator.refusals import ActionRefused, Actions, InvalidInput, Reason
from webhook_app.receiver.replay import contact_in, prefixed, replay
from webhook_app.sources.config import SETTINGS
from webhook_app.sources.delivery import BadBody
from worker.errors import Unmappable
from worker.model import Contact, Identity, Quarantined

#: How many deliveries ``replay_some`` replays at most, and for how many seconds.
MAX_REPLAYED, MAX_REPLAY_S = 100, 3.0
GONE = "There is no such delivery in quarantine."
NO_CLASH = "This delivery does not clash with another source. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Decision:
    """What an operator decides about a clash: two people, or the same person.

    ``id_prefix`` precedes the identifier of the delivery, so that the two people have different ones.
    """

    id_prefix: str = ""
    same_person: bool = False

    @classmethod
    def two_people(cls, id_prefix: str) -> "Decision":
        """Return the decision with this prefix.

        Raises:
            InvalidInput: it cannot be a prefix.
        """
        is_valid, valid = SETTINGS["id_prefix"]
        if not id_prefix:
            raise InvalidInput({"id_prefix": "is required"})
        if not is_valid(id_prefix):
            raise InvalidInput({"id_prefix": f"must be {valid}"})
        return cls(id_prefix=id_prefix)

    def __bool__(self) -> bool:
        return self.same_person or bool(self.id_prefix)

    def __str__(self) -> str:
        """The decision, for the audit log."""
        return "the same person" if self.same_person else f"two people, prefix {self.id_prefix}"


#: For deliveries that do not clash, or no longer do.
UNDECIDED = Decision()
SAME_PERSON = Decision(same_person=True)


class QuarantineActions(Actions):
    """Deliveries in quarantine."""

    def get(self, entry: str) -> Quarantined:
        """Return the delivery with this id."""
        found = self.parts.store.quarantine.read(entry)
        if found is None:
            raise ActionRefused(Reason.GONE, GONE)
        return found

    def contact_in(self, one: Quarantined) -> Contact | None:
        """Return the contact in a delivery that clashes, as its source reads it now."""
        return contact_in(self.parts, one) if one.clash else None

    def reveal(self, entry: str, why: str = "") -> Quarantined:
        """Return a delivery whose payload is about to be displayed."""
        found = self.get(entry)
        self.audit("revealed a delivery in quarantine", entry, why)
        return found

    def replay(self, entry: str, why: str = "", decision: Decision = UNDECIDED) -> str:
        """Replay a delivery. Return ``accepted``, ``duplicate`` or ``ignored``.

        Raises:
            InvalidInput: it still has no usable contact, or still clashes.
        """
        status = self.replay_one(self.get(entry), decision)
        self.audit_replay(entry, None, why, decision)
        return status

    def replay_some(
        self, passed: int, why: str = "", clash: tuple[str, str] | None = None, decision: Decision = UNDECIDED
    ) -> tuple[Counter[str], int]:
        """Replay one request's share, after the first ``passed``, which failed before.

        ``clash``: only deliveries of this pair of sources. Return how many ended with each status, and how many are
        still in quarantine.
        """
        statuses: Counter[str] = Counter()
        failed = 0
        give_up_at = time.monotonic() + MAX_REPLAY_S
        quarantine = self.parts.store.quarantine
        for listed in quarantine.page(offset=passed, limit=MAX_REPLAYED, clash=clash, with_payloads=False):
            if time.monotonic() > give_up_at:
                break
            if (one := quarantine.read(listed.entry)) is None:  # evicted, or replayed by somebody else
                continue
            try:
                statuses[self.replay_one(one, decision)] += 1
            except InvalidInput:
                failed += 1
        self.audit_replay("", clash, why, decision)
        return statuses, failed

    def replay_one(self, one: Quarantined, decision: Decision = UNDECIDED) -> str:
        """Replay a delivery as part of a larger action: without a record in the audit log."""
        self.require_clash(one, decision)
        try:
            return replay(self.parts, one, id_prefix=decision.id_prefix, same_person=decision.same_person)
        except Unmappable as error:
            raise InvalidInput(error.problems) from error
        except BadBody as error:
            raise InvalidInput({"payload": str(error)}) from error

    def require_clash(self, one: Quarantined, decision: Decision) -> None:
        """Refuse a decision about a delivery that does not clash."""
        if decision and not one.clash:
            raise ActionRefused(Reason.NO_CLASH, NO_CLASH)

    def audit_replay(self, entry: str, clash: tuple[str, str] | None, why: str, decision: Decision) -> None:
        """Record a replay of one delivery, of a pair's clashes, or of all deliveries."""
        what = "a delivery in quarantine" if entry else "the quarantine"
        if clash:
            what = f"the clashes of {clash[0]} with {clash[1]}"
        self.audit(f"replayed {what}: {decision}" if decision else f"replayed {what}", entry, why)

    def advice(self, clash: tuple[str, str], decision: Decision) -> str:
        """Return how a clash does not recur after this decision, or ""."""
        name, other = clash
        source, theirs = self.parts.sources.get(name), self.parts.sources.get(other)
        if decision.same_person and name == other:
            return ""
        if decision.same_person:
            return join(name, other, theirs.origin.space if theirs else other)
        if source is None or not decision:
            return ""
        if theirs and (theirs.identity, source.identity) == (Identity.VISITOR, Identity.ACCOUNT):
            return keep_apart(other, prefixed(theirs, f"{other}-").id_prefix)
        return keep_apart(name, prefixed(source, decision.id_prefix).id_prefix)

    def discard(self, entry: str, why: str = "") -> None:
        """Delete a delivery."""
        if not self.parts.store.quarantine.release(entry):
            raise ActionRefused(Reason.GONE, GONE)
        self.audit("discarded a delivery in quarantine", entry, why)


def keep_apart(source: str, id_prefix: str) -> str:
    """Return how the identifiers of a source do not clash from now on."""
    line = f"id_prefix = {json.dumps(id_prefix)}"
    return f"So that this does not recur, add `{line}` to `[sources.{source}]` in sources.toml, and restart."


def join(source: str, other: str, id_space: str) -> str:
    """Return how two sources share their identifiers from now on."""
    line = f"id_space = {json.dumps(id_space)}"
    return (
        f"If every identifier of `{source}` means the same person in `{other}`, "
        f"add `{line}` to `[sources.{source}]` in sources.toml, and restart."
    )
