"""Deliveries in quarantine: reveal, replay, discard."""

import time
from collections import Counter

from webhook_app.operator.refusals import ActionRefused, Actions, InvalidInput, Reason
from webhook_app.receiver.replay import replay
from webhook_app.sources.delivery import BadBody
from worker.errors import Unmappable
from worker.model import Quarantined

#: How many deliveries ``replay_some`` replays at most, and for how many seconds.
MAX_REPLAYED, MAX_REPLAY_S = 100, 3.0
GONE = "There is no such delivery in quarantine."


class QuarantineActions(Actions):
    """Deliveries in quarantine."""

    def get(self, entry: str) -> Quarantined:
        """Return the delivery with this id."""
        found = self.parts.store.quarantine.read(entry)
        if found is None:
            raise ActionRefused(Reason.GONE, GONE)
        return found

    def reveal(self, entry: str, why: str = "") -> Quarantined:
        """Return a delivery whose payload is about to be displayed."""
        found = self.get(entry)
        self.audit("revealed a delivery in quarantine", entry, why)
        return found

    def replay(self, entry: str, why: str = "") -> str:
        """Replay a delivery. Return ``accepted``, ``duplicate`` or ``ignored``.

        Raises:
            InvalidInput: it still has no usable contact.
        """
        status = self.replay_one(self.get(entry))
        self.audit("replayed a delivery in quarantine", entry, why)
        return status

    def replay_some(self, passed: int, why: str = "") -> tuple[Counter[str], int]:
        """Replay one request's share, after the first ``passed``, which failed before.

        Return how many ended with each status, and how many still have no usable contact.
        """
        statuses: Counter[str] = Counter()
        failed = 0
        give_up_at = time.monotonic() + MAX_REPLAY_S
        for one in self.parts.store.quarantine.page(offset=passed, limit=MAX_REPLAYED):
            if time.monotonic() > give_up_at:
                break
            try:
                statuses[self.replay_one(one)] += 1
            except InvalidInput:
                failed += 1
        self.audit("replayed the quarantine", why=why)
        return statuses, failed

    def replay_one(self, one: Quarantined) -> str:
        """Replay a delivery as part of a larger action: without a record in the audit log."""
        try:
            return replay(self.parts, one)
        except Unmappable as error:
            raise InvalidInput(error.problems) from error
        except BadBody as error:
            raise InvalidInput({"payload": str(error)}) from error

    def discard(self, entry: str, why: str = "") -> None:
        """Delete a delivery."""
        if not self.parts.store.quarantine.release(entry):
            raise ActionRefused(Reason.GONE, GONE)
        self.audit("discarded a delivery in quarantine", entry, why)
