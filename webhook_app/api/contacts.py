"""Contacts: filtered lists as JSON or CSV, one contact, and what can be done with it."""

from typing import TYPE_CHECKING

from flask import Blueprint, request
from werkzeug import Response

from webhook_app import operator
from webhook_app.api.answers import answer
from webhook_app.api.document import endpoint
from webhook_app.api.params import (
    body,
    filter_of,
    query,
    who,
)
from webhook_app.api.schemas import ADOPT, EDIT, FIND, LIST, LIST_CSV, NOTHING, ONLY_REVEAL, PAGE, REASON
from webhook_app.present import serializers
from webhook_app.present.csv_export import as_csv
from webhook_app.problems import problem
from worker.model import State

if TYPE_CHECKING:
    from webhook_app.parts import Parts

CSV = "text/csv; charset=utf-8"
PATHS = {
    "/contacts": {
        "get": endpoint(
            "Contacts by state or cause, the latest first; as text/csv the whole list, whatever the page",
            (200, "Contacts"),
            (200, "CSV"),
            query=LIST,
            problems=(422,),
        )
    },
    "/contacts.csv": {
        "get": endpoint("The whole list as CSV", (200, "CSV"), query=LIST_CSV, changes=True, problems=(422,))
    },
    "/contacts/find": {
        "post": endpoint(
            "Contacts with exactly this identifier, e-mail address, phone number, contact id or key",
            (200, "Found"),
            body=FIND,
        )
    },
    "/contacts/{key}": {
        "get": endpoint("One contact", (200, "Contact"), query=ONLY_REVEAL, changes=True, problems=(404,)),
        "patch": endpoint(
            "Mend its data, and try again at once",
            (200, "Retried"),
            body=EDIT,
            changes=True,
            problems=(404, 409, 422),
        ),
    },
    "/contacts/{key}/retry": {
        "post": endpoint("Try again at once", (200, "Retried"), body=REASON, changes=True, problems=(404, 409))
    },
    "/contacts/{key}/discard": {
        "post": endpoint("Give it up", (200, "Discarded"), body=REASON, changes=True, problems=(404, 409))
    },
    "/contacts/{key}/adopt": {
        "post": endpoint(
            "Take a contact in LiveDesk for the person of a conflict",
            (200, "Adopted"),
            body=ADOPT,
            changes=True,
            problems=(404, 409),
        )
    },
}


def register(views: Blueprint, parts: "Parts") -> None:
    _register_lists(views, parts)
    _register_one(views, parts)
    _register_actions(views, parts)


def _register_lists(views: Blueprint, parts: "Parts") -> None:
    @views.get("/contacts")
    def contacts() -> Response:
        asked = query(LIST)
        wanted = filter_of(asked)
        if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
            return Response(as_csv(parts, wanted), content_type=CSV)
        after = asked.get("after")
        page = parts.lists.page(wanted, after=after, limit=asked.get("limit", PAGE))
        matching = parts.lists.count(wanted).number if after is None and wanted.is_exact else None
        return answer(
            {
                "contacts": [serializers.row(row) for row in page.rows],
                "after": page.after,
                "matching": matching,
            }
        )

    @views.get("/contacts.csv")
    def contacts_csv() -> Response:
        asked, asker = query(LIST_CSV), who()
        wanted = filter_of(asked)
        if asked.get("reveal"):
            operator.reveal_list(parts, wanted, asker)
        return Response(as_csv(parts, wanted, reveal=asked.get("reveal", False)), content_type=CSV)

    # What is looked for is personal data: a body stands in no log.
    @views.post("/contacts/find")
    def find() -> Response:
        query(NOTHING)
        found = parts.lists.find(body(FIND)["text"])
        return answer({"contacts": [serializers.row(row) for row in parts.lists.rows(found)]})


def _register_one(views: Blueprint, parts: "Parts") -> None:
    @views.get("/contacts/<key>")
    def contact(key: str) -> Response:
        reveal, asker = query(ONLY_REVEAL).get("reveal", False), who()
        record = operator.reveal(parts, key, asker) if reveal else parts.history.contact_of(key)
        if record is None:
            return problem(404, operator.SENTENCES[operator.Reason.GONE])
        return answer(serializers.contact(key, record, reveal=reveal))

    @views.patch("/contacts/<key>")
    def edit(key: str) -> Response:
        query(NOTHING)
        asked = body(EDIT)
        state = operator.edit(parts, key, asked["fields"], who(), asked.get("why", ""))
        return answer({"key": key, "state": state})


def _register_actions(views: Blueprint, parts: "Parts") -> None:
    @views.post("/contacts/<key>/retry")
    def retry(key: str) -> Response:
        query(NOTHING)
        return answer({"key": key, "state": operator.retry(parts, key, who(), body(REASON).get("why", ""))})

    @views.post("/contacts/<key>/discard")
    def discard(key: str) -> Response:
        query(NOTHING)
        return answer({"key": key, "state": operator.discard(parts, key, who(), body(REASON).get("why", ""))})

    @views.post("/contacts/<key>/adopt")
    def adopt(key: str) -> Response:
        query(NOTHING)
        asked = body(ADOPT)
        wanted = str(int(asked["contact_id"])) if "contact_id" in asked else None
        contact_id = operator.adopt(parts, key, who(), asked.get("why", ""), contact_id=wanted)
        return answer({"key": key, "state": State.CREATED, "contact_id": int(contact_id)})
