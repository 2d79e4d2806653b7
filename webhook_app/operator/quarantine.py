"""Deliveries in quarantine: shown, read again, dropped."""

import time
from collections import Counter
from typing import TYPE_CHECKING

from webhook_app.operator.refusals import ActionRefused, InvalidInput, Reason
from webhook_app.receiver.replay import replay as read_again
from webhook_app.sources.body.parse import BadBody
from worker.errors import Unmappable
from worker.model import Quarantined

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: ``replay_some`` reads so many again at most, and begins none after so many seconds.
REPLAYED_MOST, REPLAY_S = 100, 3.0


def held(parts: "Parts", entry: str) -> Quarantined:
    """A delivery in quarantine."""
    found = parts.history.quarantined(entry)
    if found is None:
        raise ActionRefused(Reason.GONE, "There is no such delivery in quarantine.")
    return found


def reveal_held(parts: "Parts", entry: str, who: str, why: str = "") -> Quarantined:
    """A delivery in quarantine with its payload, which is noted before it is shown."""
    found = held(parts, entry)
    parts.desk.audit(who, "revealed a delivery in quarantine", entry, why)
    return found


def replay(parts: "Parts", entry: str, who: str, why: str = "") -> str:
    """Reads a delivery in quarantine again. Returns ``accepted``, ``duplicate`` or ``ignored``.

    Raises:
        InvalidInput: it still makes no contact.
    """
    status = _read(parts, held(parts, entry))
    parts.desk.audit(who, "replayed a delivery in quarantine", entry, why)
    return status


def replay_some(parts: "Parts", passed: int, who: str, why: str = "") -> tuple[Counter[str], int]:
    """Reads again as many as one request may, behind the first ``passed``, which an earlier one could not read.
    Returns how they ended, and how many still make no contact."""
    ends: Counter[str] = Counter()
    unreadable = 0
    give_up_at = time.monotonic() + REPLAY_S
    for one in parts.history.quarantine(offset=passed, limit=REPLAYED_MOST):
        if time.monotonic() > give_up_at:
            break
        try:
            ends[_read(parts, one)] += 1
        except InvalidInput:
            unreadable += 1
    parts.desk.audit(who, "replayed the quarantine", why=why)
    return ends, unreadable


def release(parts: "Parts", entry: str, who: str, why: str = "") -> None:
    """Drops a delivery in quarantine for good."""
    if not parts.desk.release(entry):
        raise ActionRefused(Reason.GONE, "There is no such delivery in quarantine.")
    parts.desk.audit(who, "discarded a delivery in quarantine", entry, why)


def _read(parts: "Parts", one: Quarantined) -> str:
    try:
        return read_again(parts, one)
    except Unmappable as error:
        raise InvalidInput(error.problems) from error
    except BadBody as error:
        raise InvalidInput({"payload": str(error)}) from error
