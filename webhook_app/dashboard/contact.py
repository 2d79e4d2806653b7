"""One contact: why it is where it is, what was tried, what is sent; and what a person can do about it."""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from flask import Blueprint, abort, flash, make_response, redirect, request, url_for
from werkzeug import Response

from webhook_app import operator
from webhook_app.access import Role
from webhook_app.dashboard import conflicts
from webhook_app.dashboard.requests import as_curl, as_json
from webhook_app.dashboard.session import acting, needs
from webhook_app.dashboard.verdict import judge, schedule
from webhook_app.dashboard.view import show, why
from webhook_app.present.masking import mask
from worker.livedesk.client import CONTACTS
from worker.model import Contact, Note, State
from worker.store.audit import AuditEntry
from worker.store.record import ContactRecord

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: Entries of the audit that are looked at for those about one contact.
AUDIT_LOOKED_AT = 500
CONTACT_ID = re.compile(r"[1-9][0-9]{0,18}")
#: What became of a wish, by the state that the contact is in now.
DONE = {
    State.PENDING: "It is due now.",
    State.RETRYING: "It is due now, with a fresh retry budget.",
    State.DISCARDED: "It is discarded. Retry brings it back.",
}
GONE = "There is no such contact, or it is no longer kept."


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/contacts/<key>")
    @needs(Role.VIEWER)
    def contact(key: str) -> str:
        return _show(parts, key, _record(parts, key))

    @views.post("/contacts/<key>/reveal")
    @needs(Role.OPERATOR)
    def contact_reveal(key: str) -> str:
        _record(parts, key)
        return _show(parts, key, operator.reveal(parts, key, acting(), why()), revealed=True)

    @views.post("/contacts/<key>/compare")
    @needs(Role.OPERATOR)
    def contact_compare(key: str) -> str:
        record = _record(parts, key)
        parts.store.audit.add(acting(), "compared with LiveDesk", key, why())
        return _show(parts, key, record, revealed=True, found=conflicts.ask(parts, record))

    _register_acts(views, parts)


def _register_acts(views: Blueprint, parts: "Parts") -> None:
    """What changes one contact: each is done at once, and told on the contact's page."""

    @views.post("/contacts/<key>/retry")
    @needs(Role.OPERATOR)
    def contact_retry(key: str) -> Response:
        return _told(key, lambda: DONE[operator.retry(parts, key, acting(), why())])

    @views.post("/contacts/<key>/discard")
    @needs(Role.OPERATOR)
    def contact_discard(key: str) -> Response:
        return _told(key, lambda: DONE[operator.discard(parts, key, acting(), why())])

    @views.post("/contacts/<key>/edit")
    @needs(Role.OPERATOR)
    def contact_edit(key: str) -> Response:
        typed = {name: request.form.get(name, "") for name in operator.EDITABLE}
        try:
            return _told(key, lambda: DONE[_edit(parts, key, typed)])
        except operator.InvalidInput as error:
            page = _show(parts, key, _record(parts, key), revealed=True, typed=typed, problems=error.problems)
            return make_response(page, 422)

    @views.post("/contacts/<key>/without")
    @needs(Role.OPERATOR)
    def contact_without(key: str) -> Response:
        return _told(key, lambda: DONE[operator.leave_out(parts, key, acting(), why())])

    @views.post("/contacts/<key>/adopt")
    @needs(Role.OPERATOR)
    def contact_adopt(key: str) -> Response:
        _record(parts, key)

        def adopt() -> str:
            contact_id = request.form.get("contact_id", "")
            if not CONTACT_ID.fullmatch(contact_id):
                raise operator.ActionRefused(operator.Reason.NO_OWNER)
            operator.adopt(parts, key, acting(), why(), contact_id=contact_id)
            return "It is that contact in LiveDesk now."

        return _told(key, adopt)


def _record(parts: "Parts", key: str) -> ContactRecord:
    return parts.store.contacts.read(key) or abort(404, GONE)


def _told(key: str, act: Callable[[], str]) -> Response:
    """Acts, and goes back to the contact with a sentence about what became of the wish."""
    try:
        flash(act())
    except operator.ActionRefused as refusal:
        if refusal.reason is operator.Reason.GONE:
            abort(404, GONE)
        flash(str(refusal), "error")
    return redirect(url_for("dashboard.contact", key=key), 303)


def _edit(parts: "Parts", key: str, typed: dict[str, str]) -> State:
    """Reads the form as a delivery is read. What a delivery would lose silently, a person is asked about."""
    record = _record(parts, key)
    if record.contact and request.form.get("seen", _digest(record.contact)) != _digest(record.contact):
        raise operator.ActionRefused(operator.Reason.CHANGED)
    return operator.edit(parts, key, typed, acting(), why(), seen=record.contact)


def _show(
    parts: "Parts",
    key: str,
    record: ContactRecord,
    *,
    revealed: bool = False,
    typed: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
    found: conflicts.Found | None = None,
) -> str:
    situation = parts.store.overview.read()
    shown = record.contact if revealed or record.contact is None else mask(record.contact)
    url = parts.livedesk.url if parts.livedesk else f"https://livedesk-api.engagelab.com{CONTACTS}"
    cause = parts.store.overview.cause(record.cause) if record.cause else None
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
        editable=operator.EDITABLE,
        typed=typed
        or (
            {name: getattr(record.contact, name) or "" for name in operator.EDITABLE}
            if revealed and record.contact
            else {}
        ),
        problems=problems or {},
        found=found,
        clashing=operator.clashing_field(record),
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


def _audited(parts: "Parts", key: str) -> list[AuditEntry]:
    """What people did to this contact, of the latest entries."""
    return [entry for entry in parts.store.audit.page(limit=AUDIT_LOOKED_AT) if entry.target == key]
