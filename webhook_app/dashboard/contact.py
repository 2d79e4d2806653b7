"""The page of one contact: its state and cause, attempts, data and actions."""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from shlex import quote
from typing import Any

from flask import flash, make_response, redirect, request, url_for
from msgspec import structs
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.comparison import Comparison, compare, our_contact
from webhook_app.dashboard.explanation import explain_contact, planned_attempts
from webhook_app.dashboard.pages import back, operator, read_overview, reason, show, shown_identifier
from webhook_app.dashboard.session import needs
from webhook_app.dashboard.timeline import timeline_of
from webhook_app.operator import EDITABLE_FIELDS, ActionRefused, InvalidInput, Reason, clashing_field
from webhook_app.parts import Parts, current_parts
from webhook_app.present.masking import mask, masked_text
from webhook_app.present.sending import retried
from webhook_app.present.wording import ACTION_WORDS, IDENTITY_WORDS, OUTCOME_WORDS, erased
from worker.actions import BulkAction, obstacle
from worker.changes import body_of
from worker.livedesk.client import CONTACTS
from worker.model import ATTRIBUTE_FIELDS, CONTACT_FIELDS, Contact, Note, State, Work
from worker.store.changes import Change
from worker.store.fingerprint import values_of
from worker.store.lists import Filter
from worker.store.record import ContactRecord

LABELS = {name: info.label for name, info in CONTACT_FIELDS.items()}
CONTACT_ID = re.compile(r"[1-9][0-9]{0,18}")
#: Aliases on the page, and changes in the timeline.
MAX_ALIASES, MAX_CHANGES = 20, 20
#: What an action has done, by the state that the contact is in now.
DONE = {
    State.PENDING: "Retrying now.",
    State.RETRYING: "Retrying now, with a new retry budget.",
    State.DISCARDED: "Discarded. Retry brings it back.",
}


@blueprint.get("/contacts/<key>")
@needs(Role.VIEWER)
def contact(key: str) -> str:
    return _show(key, operator().contacts.get(key))


@blueprint.post("/contacts/<key>/reveal")
@needs(Role.OPERATOR)
def contact_reveal(key: str) -> str:
    return _show(key, operator().contacts.reveal(key, reason()), revealed=True)


@blueprint.post("/contacts/<key>/compare")
@needs(Role.OPERATOR)
def contact_compare(key: str) -> str:
    contacts = operator().contacts
    record = contacts.get(key)
    contacts.audit("compared with LiveDesk", key, reason())
    return _show(key, record, revealed=True, comparison=compare(current_parts(), record))


@blueprint.post("/contacts/<key>/retry")
@needs(Role.OPERATOR)
def contact_retry(key: str) -> Response:
    return _retried(key, DONE[operator().contacts.retry(key, reason())])


@blueprint.post("/contacts/<key>/discard")
@needs(Role.OPERATOR)
def contact_discard(key: str) -> Response:
    return back(DONE[operator().contacts.discard(key, reason())])


@blueprint.post("/contacts/<key>/without")
@needs(Role.OPERATOR)
def contact_without(key: str) -> Response:
    return _retried(key, DONE[operator().contacts.leave_out(key, reason())])


@blueprint.post("/contacts/<key>/adopt")
@needs(Role.OPERATOR)
def contact_adopt(key: str) -> Response:
    operator().contacts.adopt(key, reason())
    return _retried(key, "Adopting LiveDesk's contact now: it gets this identifier.")


@blueprint.post("/contacts/<key>/known")
@needs(Role.OPERATOR)
def contact_known(key: str) -> Response:
    contact_id = request.form.get("contact_id", "")
    operator().contacts.get(key)
    if not CONTACT_ID.fullmatch(contact_id):
        raise ActionRefused(Reason.NO_OWNER)
    operator().contacts.mark_known(key, reason(), contact_id=contact_id)
    return back(f"Marked as known: contact {contact_id} in LiveDesk is this person.")


@blueprint.post("/contacts/<key>/create-again")
@needs(Role.OPERATOR)
def contact_create_again(key: str) -> Response:
    operator().contacts.create_again(key, reason())
    return _retried(key, "Creating the contact again now, with what its source sent since.")


@blueprint.post("/contacts/<key>/edit")
@needs(Role.OPERATOR)
def contact_edit(key: str) -> Response:
    typed = {name: request.form.get(name, "") for name in EDITABLE_FIELDS}
    record = operator().contacts.get(key)
    if record.contact and request.form.get("seen", _digest(record.contact)) != _digest(record.contact):
        raise ActionRefused(Reason.CHANGED)
    try:
        return _retried(key, DONE[operator().contacts.edit(key, typed, reason(), seen=record.contact)])
    except InvalidInput as error:
        return make_response(_show(key, record, revealed=True, typed=typed, problems=error.problems), 422)


@blueprint.post("/contacts/<key>/erase")
@needs(Role.OPERATOR)
def contact_erase(key: str) -> Response:
    for sentence in erased(operator().contacts.erase(key, reason())):
        flash(sentence)
    return redirect(url_for("dashboard.contacts"), 303)


def _retried(key: str, now_text: str) -> Response:
    """Return to the page, and say when the contact is sent."""
    return back(retried(current_parts(), key, now_text))


@dataclass(frozen=True, slots=True)
class Resolutions:
    """How the conflict of a contact can be resolved.

    ``owner`` is the key of our contact that LiveDesk has under the id of the owner; ``suggested`` is the action that
    fits, if what is known about the owner shows one.
    """

    possible: tuple[BulkAction, ...]
    suggested: BulkAction | None
    owner: str | None


def resolutions_of(parts: Parts, record: ContactRecord, comparison: Comparison | None = None) -> Resolutions | None:
    """Return how a contact's conflict can be resolved, or ``None`` without one."""
    if record.state is not State.CONFLICT:
        return None
    has_owner = record.owner_id is not None
    # A change can only leave the value out: LiveDesk has the contact already.
    allowed = ACTION_WORDS if record.work is Work.CREATE else [BulkAction.WITHOUT]
    found = tuple(a for a in allowed if a.resolves and not obstacle(a, record.cause, has_owner=has_owner))
    possible = tuple(a for a in found if a is not BulkAction.WITHOUT or clashing_field(record))
    owner = our_contact(parts, record.owner_id) if record.owner_id else None
    return Resolutions(possible, _suggested(record, possible, owner, comparison), owner)


def _suggested(
    record: ContactRecord, possible: tuple[BulkAction, ...], owner: str | None, comparison: Comparison | None
) -> BulkAction | None:
    """Known, if the owner is one of our contacts; adopt, if it has no identifier."""
    if record.is_unverified:
        return None
    if owner and BulkAction.KNOWN in possible:
        return BulkAction.KNOWN
    people = comparison.people if comparison else []
    is_free = any(person.id == record.owner_id and not person.identifier for person in people)
    return BulkAction.ADOPT if is_free and BulkAction.ADOPT in possible else None


@dataclass(frozen=True, slots=True)
class Shown:
    """The request that sends a contact or a change, as a person reads it."""

    method: str
    url: str
    body: dict[str, Any]

    def as_json(self) -> str:
        return json.dumps(self.body, ensure_ascii=False, indent=2)

    def as_curl(self) -> str:
        """Return a command that sends the same request. The shell inserts the secrets."""
        lines = [
            f"curl -X {self.method} {quote(self.url)}",
            '-u "$LIVEDESK_API_KEY:$LIVEDESK_API_SECRET"',
            "-H 'Content-Type: application/json'",
            f"--data-raw {quote(json.dumps(self.body, ensure_ascii=False))}",
        ]
        return " \\\n  ".join(lines)


def request_of(record: ContactRecord, contact: Contact, inbox_id: int | None, url: str) -> Shown | None:
    """Return what the next attempt sends of ``contact``; for a deletion, ``None``."""
    if record.work is Work.CREATE:
        sent = structs.replace(contact, inbox_id=contact.inbox_id or inbox_id).without(*ATTRIBUTE_FIELDS)
        return Shown("POST", url, sent.present())
    if record.work is Work.UPDATE:
        return Shown("PATCH", f"{url}/{record.contact_id}", body_of(contact, record.changes))
    return None


def _show(key: str, record: ContactRecord, *, revealed: bool = False, **values: Any) -> str:
    """Render the page with ``typed`` values, ``problems`` or a ``comparison``."""
    parts, overview = current_parts(), read_overview()
    kept = record.contact
    shown = kept if revealed or kept is None else mask(kept)
    if shown:
        shown = structs.replace(shown, identifier=shown_identifier(shown.identifier))
    url = parts.livedesk.url if parts.livedesk else f"https://livedesk-api.engagelab.com{CONTACTS}"
    waiting = parts.store.lists.count(Filter(cause=record.cause)).number if record.cause else 0
    fields = {name: getattr(kept, name) or "" for name in EDITABLE_FIELDS} if revealed and kept else {}
    audited = parts.store.audit.about(key)
    defaults = {"typed": fields, "problems": {}, "comparison": None}
    return show(
        "contact",
        key=key,
        record=record,
        retries=overview is None or overview.upstream.state == "up",
        explanation=explain_contact(record, overview, settle_ms=parts.settle_ms, inbox_id=parts.inbox_id),
        planned=planned_attempts(record, parts.retry, overview, parts.inbox_id),
        shown=shown,
        revealed=revealed,
        sent=request_of(record, shown, parts.inbox_id, url) if shown else None,
        notes=_notes(record.notes, None if revealed else kept, is_masked=not revealed),
        own=None if revealed else kept,
        seen=_digest(kept) if revealed and kept else "",
        editable=EDITABLE_FIELDS,
        values=_values(shown) if shown else {},
        clashing=clashing_field(record),
        resolutions=resolutions_of(parts, record, values.get("comparison")),
        others=max(0, waiting - 1),
        labels=LABELS,
        words=ACTION_WORDS,
        identity_words=IDENTITY_WORDS,
        outcome_words=OUTCOME_WORDS,
        aliases=parts.store.contacts.read_aliases(key),
        max_aliases=MAX_ALIASES,
        timeline=timeline_of(record, _changes(parts, key, record), audited),
        **{**defaults, **values},
    )


def _digest(contact: Contact) -> str:
    """Return a digest of the contact, so that an edit never overwrites newer data."""
    return sha256(json.dumps(contact.present()).encode()).hexdigest()


def _changes(parts: Parts, key: str, record: ContactRecord) -> list[Change]:
    """Return the changes that LiveDesk has, if there can be any: the log is long."""
    is_changed = bool(record.attempts and record.attempts[-1].changed)
    is_plain = record.work is Work.CREATE and record.state is not State.DELETED and not is_changed
    return [] if is_plain else parts.store.changes.recent(key, since=record.received_at, limit=MAX_CHANGES)


def _values(contact: Contact) -> dict[str, object]:
    """Return each field with its value, also without one; then the attributes."""
    fields = {name: getattr(contact, name) for name in EDITABLE_FIELDS}
    return fields | {name: value for name, value in values_of(contact).items() if name not in fields}


def _notes(notes: tuple[Note, ...], own: Contact | None, *, is_masked: bool) -> dict[str, str]:
    """Return the notes on each field, on one line; ``own``: whose values are masked."""
    by_field: dict[str, list[str]] = {}
    for note in notes:
        by_field.setdefault(note.field, []).append(masked_text(note.text, own) if is_masked else note.text)
    return {name: "; ".join(texts) for name, texts in by_field.items()}
