"""How all workers together treat LiveDesk, through Redis (``lua/upstream.lua``).

pace      No more than ``LIVEDESK_RATE`` requests a second, over all workers on all hosts. A 429 halves the pace at
          once, good answers raise it again slowly; look-ups have another limit of their own.
breaker   Several contacts in a row, or half of the recent attempts, fail because of LiveDesk (``down``), or one is
          refused because of our key or our address (``misconfigured``). If LiveDesk does not answer a question either
          that is about no contact, nothing is sent but a probe from time to time, until one succeeds. If it does, the
          trouble is those contacts' alone.
hold      LiveDesk wants no requests for a time (429), or refuses every contact with the same words. The same. An inbox
          that LiveDesk does not know, or fails for while it creates others, holds its own contacts only.

A worker asks with its claim (``claim.lua``) and reports with its result (``finish.lua``): neither costs a round trip.
"""

import logging
from dataclasses import dataclass
from typing import Any

from worker import causes
from worker.model import Signal, UpstreamPolicy
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeldInbox:
    """An inbox whose contacts wait, because LiveDesk does not know it or fails for it.

    ``inbox`` is empty if contacts name none. ``cause`` is a slug of ``causes``.
    """

    inbox: str
    since: int
    probe_at: int
    probes: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How LiveDesk is treated now. An operator's pause wins over ``stop``.

    ``stop`` is ``down``, ``misconfigured``, ``hold`` or nothing. ``until`` is when LiveDesk wants requests again, if it
    said so. ``words`` is what it answers to every contact, word for word: it names nobody, but is not logged. ``pace``
    and ``rate`` are requests a second; ``slot`` is when the next one may go. ``is_ramping``:
    the pace doubles every second. ``back_at`` is when the last stop ended that had begun at ``away_since``.
    """

    stop: str | None
    cause: str | None
    status: str | None
    since: int | None
    until: int | None
    words: str | None
    probe_at: int | None
    probes: int
    paused_at: int | None
    paused_by: str | None
    paused_why: str | None
    pace: float
    rate: float
    slot: int | None
    answered_at: int | None
    inboxes: tuple[HeldInbox, ...]
    is_ramping: bool = False
    back_at: int | None = None
    away_since: int | None = None

    @property
    def state(self) -> str:
        """``paused`` (by an operator), ``down``, ``misconfigured``, ``hold`` or ``up``."""
        return "paused" if self.paused_at else self.stop or "up"


class UpstreamControl:
    def __init__(self, db: Database, policy: UpstreamPolicy) -> None:
        self.db = db
        self.policy = policy
        self.arguments = policy.arguments()

    def pace(self, key: str | None = None, *, look_up: bool = False) -> int:
        """Reserve a slot for a request beyond the claim's; return the ms until then.

        A negative number: there is no room within a second; ask again after that many ms. ``key`` is the contact's.
        """
        return int(self.db.run("pace", key=key, policy=self.arguments, look_ups=int(look_up)))

    def answered(self, signal: Signal, cause: str | None, status: int | None, hold_ms: int) -> str:
        """Record what LiveDesk answered to a question that is about no contact.

        Return what changed for all contacts, as in ``Finished.change``.
        """
        return str(
            self.db.run("answered", policy=self.arguments, signal=signal, cause=cause, status=status, hold_ms=hold_ms)
        )

    def pause(self, who: str, why: str) -> bool:
        """Send nothing to LiveDesk until ``resume``. ``False``: it was paused already."""
        is_new = bool(self.db.run("pause", who=who, why=why))
        if is_new:
            log.warning(LogEvent("sync paused", by="operator"))
        return is_new

    def resume(self) -> bool:
        """End a pause, and probe where the sync stopped; ``False``: nothing to resume."""
        was_stopped = bool(self.db.run("resume", policy=self.arguments))
        if was_stopped:
            log.warning(LogEvent("sync resumed", by="operator"))
        return was_stopped

    def probe_now(self) -> bool:
        """Probe at once where the sync or an inbox is stopped; ``False``: nothing is."""
        return bool(self.db.run("probe_now", policy=self.arguments))

    def read(self) -> Upstream:
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.UPSTREAM)
            pipe.hgetall(keys.INBOXES)
            fields, inboxes = pipe.execute()
        return self.load(fields, inboxes)

    def load(self, fields: dict[str, str], inboxes: dict[str, str]) -> Upstream:
        """Return LiveDesk's state from the hashes ``upstream`` and ``inboxes``."""

        def number(name: str) -> int | None:
            return int(float(fields[name])) if name in fields else None

        held = sorted(name.removesuffix(":since") for name in inboxes if name.endswith(":since"))
        return Upstream(
            stop=fields.get("stop"),
            cause=fields.get("stop_cause"),
            status=fields.get("stop_status") or None,
            since=number("stop_since"),
            until=number("stop_until"),
            words=fields.get("stop_words") or None,
            probe_at=number("probe_at"),
            probes=number("probes") or 0,
            paused_at=number("paused_at"),
            paused_by=fields.get("paused_by"),
            paused_why=fields.get("paused_why"),
            pace=min(self.policy.rate, float(fields.get("pace", self.policy.rate))),
            rate=self.policy.rate,
            slot=number("slot"),
            answered_at=number("answered_at"),
            is_ramping="ramp_to" in fields,
            back_at=number("back_at"),
            away_since=number("away_since"),
            inboxes=tuple(_load_inbox(inbox, inboxes) for inbox in held),
        )


def _load_inbox(inbox: str, fields: dict[str, Any]) -> HeldInbox:
    probe_at, probes = float(fields.get(f"{inbox}:probe_at", 0)), fields.get(f"{inbox}:probes", 0)
    cause = fields.get(f"{inbox}:cause", causes.INBOX_NOT_FOUND.slug)
    return HeldInbox(inbox, int(fields[f"{inbox}:since"]), int(probe_at), int(probes), cause)
