"""Contacts: filtered lists as JSON or CSV, one contact, and its actions."""

from typing import Any

from flask import request
from werkzeug import Response

from webhook_app.api.blueprint import blueprint
from webhook_app.api.document import Csv, Listing, describe
from webhook_app.api.schemas import EDIT, EXPORT, FIND, IDENTIFIER, KNOWN, LIST, ONLY_REVEAL, ONLY_WHY, PAGE, REASON
from webhook_app.operator import Operator, parse_filter
from webhook_app.parts import current_parts
from webhook_app.present import serializers
from webhook_app.present.csv_export import CSV_TYPE, as_csv
from webhook_app.present.sending import kept_by, sent_when, waits_for
from webhook_app.present.shapes import (
    Contact,
    ContactPage,
    ContactRow,
    ContactState,
    ErasedContact,
    KnownContact,
    Record,
)
from webhook_app.problems import problem
from worker.model import State
from worker.store.lists import Filter


@blueprint.get("/contacts")
@describe(ContactPage, Csv, query=LIST, problems=(422,))
def list_contacts(query: dict[str, Any]) -> ContactPage | Response:
    """List contacts by state or cause, latest first; as text/csv all pages at once."""
    wanted, lists = _filter(query), current_parts().store.lists
    if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
        return Response(as_csv(current_parts(), wanted), content_type=CSV_TYPE)
    after = query.get("after")
    page = lists.page(wanted, after=after, limit=query.get("limit", PAGE))
    matching = lists.count(wanted).number if after is None and wanted.is_exact else None
    return ContactPage(contacts=[serializers.row(row) for row in page.rows], after=page.after, matching=matching)


@blueprint.get("/contacts.csv")
@describe(Csv, query=EXPORT, acts=True, problems=(422,))
def export_contacts(query: dict[str, Any], operator: Operator) -> Response:
    """Export all contacts in a list as CSV."""
    wanted, reveal = _filter(query), query.get("reveal", False)
    if reveal:
        operator.contacts.export_list(wanted, reveal=True)
    return Response(as_csv(current_parts(), wanted, reveal=reveal), content_type=CSV_TYPE)


@blueprint.post("/contacts/find")
@describe(Listing("contacts", ContactRow), body=FIND)
def find_contacts(body: dict[str, Any]) -> object:
    """Find contacts by exact identifier, e-mail, phone number, contact id or key.

    This is a POST so that no personal data is in a URL, which logs keep.
    """
    lists = current_parts().store.lists
    return {"contacts": [serializers.row(row) for row in lists.rows(lists.search(body["text"]))]}


@blueprint.post("/contacts/by-identifier")
@describe(Record, body=IDENTIFIER, problems=(404,))
def get_contact_by_identifier(body: dict[str, Any]) -> Record | Response:
    """Get a contact by its identifier, as GET /contacts/<identifier> does.

    This is a POST so that no identifier is in a URL, which logs keep.
    """
    found = current_parts().store.contacts.find(body["identifier"])
    return problem(404, "There is no contact with this identifier.") if found is None else serializers.record(found)


@blueprint.get("/contacts/<key>")
@describe(Contact, query=ONLY_REVEAL, acts=True, problems=(404,))
def get_contact(key: str, query: dict[str, Any], operator: Operator) -> Contact:
    """Get a contact."""
    reveal = query.get("reveal", False)
    record = operator.contacts.reveal(key) if reveal else operator.contacts.get(key)
    aliases = operator.parts.store.contacts.read_aliases(key)
    return serializers.contact(key, record, aliases, waits_for=kept_by(operator.parts, record), reveal=reveal)


@blueprint.delete("/contacts/<key>")
@describe(ErasedContact, query=ONLY_WHY, acts=True, problems=(404, 409))
def erase_contact(key: str, query: dict[str, Any], operator: Operator) -> ErasedContact:
    """Erase a person here, under all aliases; LiveDesk keeps its contact."""
    erased = operator.contacts.erase(key, query.get("why", ""))
    contact_id = int(erased.contact_id) if erased.contact_id else None
    counts = erased.quarantined, erased.not_searched
    return ErasedContact(key, contact_id, erased.aliases, erased.is_unknown, *counts)


@blueprint.patch("/contacts/<key>")
@describe(ContactState, body=EDIT, acts=True, problems=(404, 409, 422))
def edit_contact(key: str, body: dict[str, Any], operator: Operator) -> ContactState:
    """Edit a contact and retry it at once."""
    return _retried(operator, key, operator.contacts.edit(key, body["fields"], body.get("why", "")))


@blueprint.post("/contacts/<key>/retry")
@describe(ContactState, body=REASON, acts=True, problems=(404, 409))
def retry_contact(key: str, body: dict[str, Any], operator: Operator) -> ContactState:
    """Retry a contact at once."""
    return _retried(operator, key, operator.contacts.retry(key, body.get("why", "")))


@blueprint.post("/contacts/<key>/discard")
@describe(ContactState, body=REASON, acts=True, problems=(404, 409))
def discard_contact(key: str, body: dict[str, Any], operator: Operator) -> ContactState:
    """Discard a contact, or the change that LiveDesk's contact lacks."""
    return ContactState(key=key, state=operator.contacts.discard(key, body.get("why", "")))


@blueprint.post("/contacts/<key>/create-again")
@describe(ContactState, body=REASON, acts=True, problems=(404, 409))
def create_contact_again(key: str, body: dict[str, Any], operator: Operator) -> ContactState:
    """Create a contact again that LiveDesk no longer has (`contact_gone`)."""
    return _retried(operator, key, operator.contacts.create_again(key, body.get("why", "")))


@blueprint.post("/contacts/<key>/adopt")
@describe(ContactState, body=REASON, acts=True, problems=(404, 409))
def adopt_contact(key: str, body: dict[str, Any], operator: Operator) -> ContactState:
    """Resolve a conflict: give the identifier to the conflicting contact in LiveDesk."""
    return _retried(operator, key, operator.contacts.adopt(key, body.get("why", "")))


@blueprint.post("/contacts/<key>/leave-out")
@describe(ContactState, body=REASON, acts=True, problems=(404, 409))
def leave_out_field(key: str, body: dict[str, Any], operator: Operator) -> ContactState:
    """Resolve a conflict: create the contact without the field that another one has."""
    return _retried(operator, key, operator.contacts.leave_out(key, body.get("why", "")))


@blueprint.post("/contacts/<key>/known")
@describe(KnownContact, body=KNOWN, acts=True, problems=(404, 409))
def mark_contact_known(key: str, body: dict[str, Any], operator: Operator) -> KnownContact:
    """Resolve a conflict: a contact in LiveDesk is the same person and stays as it is."""
    contact_id = str(int(body["contact_id"])) if "contact_id" in body else None
    known = operator.contacts.mark_known(key, body.get("why", ""), contact_id=contact_id)
    return KnownContact(key=key, state=State.CREATED, contact_id=int(known))


def _filter(query: dict[str, Any]) -> Filter:
    return parse_filter(query, now=int(current_parts().clock() * 1000))


def _retried(operator: Operator, key: str, state: State) -> ContactState:
    """Return the state of a contact that is to be sent, and what it waits for."""
    return ContactState(key=key, state=state, waits_for=waits_for(*sent_when(operator.parts, key)))
