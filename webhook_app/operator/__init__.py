"""The actions of a person, for pages, API and commands alike; no HTTP here.

``contacts``    one contact: retry, edit, discard, resolve a conflict, erase, reveal
``operations``  many contacts at once: plan, start, pause, cancel, undo
``quarantine``  deliveries in quarantine: reveal, replay, discard, resolve a clash
``filters``     which contacts: read from text and described in words
``refusals``    who acts, the audit, and why an action is refused

    operator = Operator(current_parts(), "ada", Way.CLI)
    operator.contacts.retry(key, why="LiveDesk is back")
"""

from webhook_app.operator.contacts import ContactActions, clashing_field
from webhook_app.operator.filters import WORK_NAMES, describe_filter, parse_audit_filter, parse_filter
from webhook_app.operator.operations import CHANGES, OperationActions, Plan, remaining_ms
from webhook_app.operator.quarantine import SAME_PERSON, UNDECIDED, Decision, QuarantineActions
from webhook_app.operator.refusals import SENTENCES, ActionRefused, Actions, InvalidInput, Reason
from webhook_app.parts import Parts
from worker.model import EDITABLE_FIELDS, Way

__all__ = [
    "CHANGES",
    "EDITABLE_FIELDS",
    "SAME_PERSON",
    "SENTENCES",
    "UNDECIDED",
    "WORK_NAMES",
    "ActionRefused",
    "Decision",
    "InvalidInput",
    "Operator",
    "Plan",
    "Reason",
    "clashing_field",
    "describe_filter",
    "parse_audit_filter",
    "parse_filter",
    "remaining_ms",
]


class SyncActions(Actions):
    """The sync as a whole: pause, resume, probe; acknowledge that Redis was emptied."""

    def pause(self, why: str = "") -> None:
        """Send nothing to LiveDesk until somebody resumes."""
        if not self.parts.store.upstream.pause(self.who, why):
            raise ActionRefused(Reason.ALREADY, "The sync is already paused.")
        self.audit("paused the sync", why=why)

    def resume(self, why: str = "") -> None:
        """End a pause. If the sync has also stopped by itself, LiveDesk is probed at once."""
        if not self.parts.store.upstream.resume():
            raise ActionRefused(Reason.ALREADY, "The sync is not paused.")
        self.audit("resumed the sync", why=why)

    def probe(self, why: str = "") -> None:
        """Probe LiveDesk at once if the sync stopped by itself; a pause remains."""
        if self.parts.store.upstream.read().paused_at:
            raise ActionRefused(Reason.PAUSED, "The sync is paused: nothing is sent until somebody resumes it.")
        if not self.parts.store.upstream.resume():
            raise ActionRefused(Reason.ALREADY, "LiveDesk is up: there is nothing to probe.")
        self.audit("probed LiveDesk", why=why)

    def acknowledge(self, why: str = "") -> None:
        """Stop showing everywhere that Redis was emptied."""
        if not self.parts.store.acknowledge_loss():
            raise ActionRefused(Reason.ALREADY, "Nobody has noticed that Redis was emptied, or it was acknowledged.")
        self.audit("acknowledged that Redis was emptied", why=why)


class AccessActions(Actions):
    """Who is signed in to the dashboard."""

    def sign_out_everyone(self, why: str = "") -> int:
        """End all sessions, and return how many there were."""
        ended = self.parts.store.sessions.end_all()
        self.audit("signed everyone out", why=why)
        return ended


class Operator:
    """One person, named as in the audit log, and everything that they can do."""

    def __init__(self, parts: Parts, who: str, way: Way) -> None:
        self.parts = parts
        self.who = who
        self.way = way
        self.contacts = ContactActions(parts, who, way)
        self.operations = OperationActions(parts, who, way)
        self.quarantine = QuarantineActions(parts, who, way)
        self.sync = SyncActions(parts, who, way)
        self.access = AccessActions(parts, who, way)
