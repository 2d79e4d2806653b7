"""Whether contacts are sent now, and when otherwise.

Pages, commands and the API use the same words.
"""

from collections.abc import Iterable

from webhook_app.parts import Parts
from webhook_app.present.masking import masked_text
from worker.causes import explain
from worker.durations import absolute, relative
from worker.model import Work
from worker.store.record import ContactRecord
from worker.store.upstream import HeldInbox, Upstream


class Due(int):
    """The time of something to come, in epoch ms: it is due once the time has passed."""

    is_due = True


#: Text and times in ms since the epoch, which pages render as times.
Sentence = list[str | int]

#: The states in a word, as figures show them.
STATE_WORDS = {
    "up": "Up",
    "slow": "Slow",
    "down": "Down",
    "misconfigured": "Misconfigured",
    "hold": "On hold",
    "paused": "Paused",
}
#: What to do about a hold in which LiveDesk refuses everybody alike.
FIX_WHAT_IT_NAMES = "Fix what LiveDesk names, for example the plan or a permission, then probe."
#: What stopped the sync.
STOPPED = {
    "down": "LiveDesk is down",
    "misconfigured": "The sync is misconfigured",
    "hold": "LiveDesk accepts nothing now",
}


def goes_when(upstream: Upstream, inbox: str | None = None) -> Sentence:
    """Return when contacts are sent that are due; nothing if that is now.

    ``inbox``: that of a contact that is to be created.
    """
    if upstream.paused_at:
        return ["as soon as an operator resumes the sync"]
    if upstream.stop:
        return ["as soon as LiveDesk accepts requests again", *_probe(upstream.probe_at)]
    if (held := held_inbox(upstream, inbox)) is not None:
        return [f"as soon as LiveDesk accepts contacts of {inbox_name(held)}", *_probe(held.probe_at)]
    return []


def waits_for(upstream: Upstream, inbox: str | None = None) -> str | None:
    """Return the state that keeps contacts from being sent, or ``inbox``, or ``None``."""
    if upstream.state != "up":
        return upstream.state
    return "inbox" if held_inbox(upstream, inbox) else None


def held_inbox(upstream: Upstream, inbox: str | None) -> HeldInbox | None:
    """Return the inbox with this id, if its contacts wait."""
    return next((held for held in upstream.inboxes if held.inbox == inbox), None)


def inbox_name(held: HeldInbox) -> str:
    """``inbox 7``."""
    return f"inbox {held.inbox}" if held.inbox else "no inbox"


def inbox_of(record: ContactRecord, inbox_id: int | None) -> str | None:
    """Return the inbox that a contact is to be created in, or ``None`` for a change."""
    if record.work is not Work.CREATE:
        return None
    return str((record.contact and record.contact.inbox_id) or inbox_id or "")


def asked_for(upstream: Upstream) -> list[str]:
    """Return what LiveDesk said about a hold: until when, and in which words."""
    if upstream.stop != "hold":
        return []
    said = []
    if upstream.until:
        said.append(f"LiveDesk asked for no requests until {absolute(upstream.until)}. It is probed earlier.")
    if upstream.words:
        said.append(f"LiveDesk's words: “{masked_text(upstream.words)}”")
    return said


def reason_of(upstream: Upstream) -> str:
    """Return why the sync is stopped: our words for the cause."""
    return explain(upstream.cause or "").title


def sent_when(parts: Parts, key: str) -> tuple[Upstream, str | None]:
    """Return the state of LiveDesk, and the inbox of a contact."""
    upstream = parts.store.upstream.read()
    record = parts.store.contacts.read(key) if upstream.inboxes else None
    return upstream, inbox_of(record, parts.inbox_id) if record else None


def kept_by(parts: Parts, record: ContactRecord) -> str | None:
    """Return what keeps a contact from being sent now (``waits_for``), or ``None``."""
    if not record.state.is_open:
        return None
    return waits_for(parts.store.upstream.read(), inbox_of(record, parts.inbox_id))


def retried(parts: Parts, key: str, now_text: str) -> str:
    """Return ``now_text`` if the contact is sent now; otherwise when it is."""
    when = goes_when(*sent_when(parts, key))
    return as_text(["Recorded. It goes ", *when, "."], parts.store.now()) if when else now_text


def as_text(sentence: Iterable[str | int], now: int) -> str:
    """Return a sentence with its times in words."""
    return "".join(piece if isinstance(piece, str) else _time(piece, now) for piece in sentence)


def _time(at: int, now: int) -> str:
    return "due" if isinstance(at, Due) and at <= now else relative(at, now)


def _probe(at: int | None) -> Sentence:
    return [" (next probe ", Due(at), ")"] if at is not None else []
