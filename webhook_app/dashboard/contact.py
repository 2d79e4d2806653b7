"""One contact: why it is where it is, what was tried, what is sent; and what a person can do about it."""

import re
from dataclasses import fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, flash, make_response, redirect, request, url_for
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard import conflicts
from webhook_app.dashboard.conflicts import clashing_field
from webhook_app.dashboard.masks import as_curl, as_json, mask
from webhook_app.dashboard.session import needs
from webhook_app.dashboard.verdict import judge, schedule
from webhook_app.dashboard.view import reason, show, who
from worker.errors import Unmappable
from worker.history import Audited, ContactRecord
from worker.livedesk import CONTACTS
from worker.model import Contact, Note, State
from worker.normalise import normalise

if TYPE_CHECKING:
    from webhook_app import Parts

#: Entries of the audit that are looked at for those about one contact.
AUDIT_LOOKED_AT = 500
#: What a person may change: the identifier is what makes a contact the same one.
EDITABLE = tuple(field.name for field in fields(Contact) if field.name != "identifier")
CONTACT_ID = re.compile(r"[1-9][0-9]{0,18}")
#: What became of a wish, in words: whether it is good news, and the sentence.
ANSWERS = {
    "pending": (True, "It is due now."),
    "retrying": (True, "It is due now, with a fresh retry budget."),
    "discarded": (True, "It is discarded. Retry brings it back."),
    "adopted": (True, "It is that contact in LiveDesk now."),
    "busy": (False, "An attempt is running: nothing was changed. Look again in a moment."),
    "created": (False, "It is in LiveDesk already: nothing was changed."),
    "changed": (False, "A delivery has brought other data since: nothing was changed. Look at it again."),
    "gone": (False, "It is no longer kept: nothing was changed."),
}


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/contacts/<key>")
    @needs(Role.VIEWER)
    def contact(key: str) -> str:
        return _show(parts, key, _record(parts, key))

    @views.post("/contacts/<key>/reveal")
    @needs(Role.OPERATOR)
    def contact_reveal(key: str) -> str:
        record = _record(parts, key)
        parts.store.audit(who(), "revealed", key, _why())
        return _show(parts, key, record, revealed=True)

    @views.post("/contacts/<key>/compare")
    @needs(Role.OPERATOR)
    def contact_compare(key: str) -> str:
        record = _record(parts, key)
        parts.store.audit(who(), "compared with LiveDesk", key, _why())
        return _show(parts, key, record, revealed=True, found=conflicts.ask(parts, record))

    _register_acts(views, parts)


def _register_acts(views: Blueprint, parts: "Parts") -> None:
    """What changes one contact: each is done at once, told on the contact's page, and kept in the audit."""

    @views.post("/contacts/<key>/retry")
    @needs(Role.OPERATOR)
    def contact_retry(key: str) -> Response:
        answer = parts.store.retry_now(_record(parts, key).identifier, who=who())
        return _told(parts, key, answer, "retried")

    @views.post("/contacts/<key>/discard")
    @needs(Role.OPERATOR)
    def contact_discard(key: str) -> Response:
        answer = parts.store.discard(_record(parts, key).identifier)
        return _told(parts, key, answer, "discarded")

    @views.post("/contacts/<key>/edit")
    @needs(Role.OPERATOR)
    def contact_edit(key: str) -> Response:
        return _edit(parts, key)

    @views.post("/contacts/<key>/without")
    @needs(Role.OPERATOR)
    def contact_without(key: str) -> Response:
        """Sends it without the field that another contact has."""
        record = _record(parts, key)
        name = clashing_field(record)
        if name is None or record.contact is None or record.state is not State.CONFLICT:
            return _refused(key, "No field of it clashes now: nothing was changed.")
        notes = (*record.notes, Note(name, "left out by hand: another contact in LiveDesk has it"))
        answer = parts.store.edit(record.contact.without(name), notes, who=who(), before=record.contact)
        return _told(parts, key, answer, f"retried without {name}")

    @views.post("/contacts/<key>/adopt")
    @needs(Role.OPERATOR)
    def contact_adopt(key: str) -> Response:
        record, contact_id = _record(parts, key), request.form.get("contact_id", "")
        if record.state is not State.CONFLICT or not CONTACT_ID.fullmatch(contact_id):
            return _refused(key, "There is no such conflict any more: nothing was changed.")
        return _told(parts, key, conflicts.adopt(parts, key, record, contact_id, who()), f"adopted {contact_id}")


def _record(parts: "Parts", key: str) -> ContactRecord:
    return parts.history.contact_of(key) or abort(404, "There is no such contact, or it is no longer kept.")


def _why() -> str:
    return reason(request.form.get("why", ""))


def _told(parts: "Parts", key: str, answer: str, did: str) -> Response:
    """Back to the contact, with a sentence about what became of the wish; the audit keeps what was done."""
    is_good, sentence = ANSWERS[answer]
    if is_good:
        parts.store.audit(who(), did, key, _why())
    flash(sentence, "message" if is_good else "error")
    return _back(key)


def _refused(key: str, sentence: str) -> Response:
    flash(sentence, "error")
    return _back(key)


def _back(key: str) -> Response:
    return redirect(url_for("dashboard.contact", key=key), 303)


def _edit(parts: "Parts", key: str) -> Response:
    """Reads the form as a delivery is read. What a delivery would lose silently, a person is asked about."""
    record = _record(parts, key)
    if record.contact is None or record.state is State.SENDING:
        return _told(parts, key, "created" if record.state is State.CREATED else "busy", "")
    if request.form.get("seen", _digest(record.contact)) != _digest(record.contact):
        return _told(parts, key, "changed", "")
    typed: dict[str, Any] = {name: request.form.get(name, "") for name in EDITABLE}
    source = parts.sources.get(record.source)
    try:
        raw = {"identifier": record.identifier, **typed}
        contact, notes = normalise(raw, region=source.region if source else None)
    except Unmappable as error:
        return _ask_again(parts, key, record, typed, error.problems)
    problems = {note.field: note.text for note in notes if note.text.startswith("left out")}
    if problems:
        return _ask_again(parts, key, record, typed, problems)
    changed = [name for name in EDITABLE if getattr(contact, name) != getattr(record.contact, name)]
    kept = tuple(note for note in record.notes if note.field not in changed)
    edited = tuple(Note(name, "edited by hand") for name in changed)
    answer = parts.store.edit(contact, (*kept, *notes, *edited), who=who(), before=record.contact)
    return _told(parts, key, answer, f"edited {', '.join(changed)}" if changed else "retried")


def _ask_again(
    parts: "Parts", key: str, record: ContactRecord, typed: dict[str, Any], problems: dict[str, str]
) -> Response:
    return make_response(_show(parts, key, record, revealed=True, typed=typed, problems=problems), 422)


def _show(
    parts: "Parts",
    key: str,
    record: ContactRecord,
    *,
    revealed: bool = False,
    typed: dict[str, Any] | None = None,
    problems: dict[str, str] | None = None,
    found: conflicts.Found | None = None,
) -> str:
    situation = parts.situations.read()
    shown = record.contact if revealed or record.contact is None else mask(record.contact)
    url = parts.livedesk.url if parts.livedesk else f"https://livedesk-api.engagelab.com{CONTACTS}"
    cause = parts.situations.cause(record.cause) if record.cause else None
    return show(
        parts,
        "contact",
        key=key,
        record=record,
        verdict=judge(record, situation, settle_ms=parts.settle_ms, inbox_id=parts.inbox_id),
        planned=schedule(record, parts.retry, situation.now),
        shown=shown,
        revealed=revealed,
        sent=as_json(shown, parts.inbox_id) if shown else "",
        curl=as_curl(shown, parts.inbox_id, url) if shown else "",
        notes=_notes(record.notes),
        seen=_digest(record.contact) if revealed and record.contact else "",
        editable=EDITABLE,
        typed=typed
        or ({name: getattr(record.contact, name) or "" for name in EDITABLE} if revealed and record.contact else {}),
        problems=problems or {},
        found=found,
        clashing=clashing_field(record),
        others=max(0, cause.waiting - 1) if cause else 0,
        audited=_audited(parts, key),
    )


def _digest(contact: Contact) -> str:
    """Tells whether a contact is still what a person saw when they began to edit it."""
    return sha256(as_json(contact, None).encode()).hexdigest()


def _notes(notes: tuple[Note, ...]) -> dict[str, str]:
    """The notes about each field, in one line."""
    by_field: dict[str, list[str]] = {}
    for note in notes:
        by_field.setdefault(note.field, []).append(note.text)
    return {name: "; ".join(texts) for name, texts in by_field.items()}


def _audited(parts: "Parts", key: str) -> list[Audited]:
    """What people did to this contact, of the latest entries."""
    return [entry for entry in parts.history.audit(limit=AUDIT_LOOKED_AT) if entry.target == key]
