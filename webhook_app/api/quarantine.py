"""Deliveries that were authentic but made no contact: listed, shown, read again, dropped."""

from typing import TYPE_CHECKING

from flask import Blueprint
from werkzeug import Response

from webhook_app import operator
from webhook_app.api.answers import answer
from webhook_app.api.document import endpoint
from webhook_app.api.params import body, query, who
from webhook_app.api.schemas import NOTHING, ONLY_REVEAL, PAGE, QUARANTINE, REASON
from webhook_app.present import serializers

if TYPE_CHECKING:
    from webhook_app.parts import Parts

PATHS = {
    "/quarantine": {
        "get": endpoint("Deliveries that made no contact, the oldest first", (200, "Quarantine"), query=QUARANTINE)
    },
    "/quarantine/{entry}": {
        "get": endpoint("One of them", (200, "HeldWhole"), query=ONLY_REVEAL, changes=True, problems=(404,)),
        "delete": endpoint("Drop it for good", (204, ""), changes=True, problems=(404,)),
    },
    "/quarantine/{entry}/replay": {
        "post": endpoint(
            "Read it again, with its source as it is now",
            (200, "Replayed"),
            body=REASON,
            changes=True,
            problems=(404, 422),
        )
    },
}


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/quarantine")
    def quarantine() -> Response:
        asked = query(QUARANTINE)
        held = parts.history.quarantine(offset=asked.get("offset", 0), limit=asked.get("limit", PAGE))
        return answer({"deliveries": [serializers.held(one) for one in held]})

    @views.get("/quarantine/<entry>")
    def held(entry: str) -> Response:
        reveal, asker = query(ONLY_REVEAL).get("reveal", False), who()
        found = (
            operator.reveal_held(parts, entry, asker) if reveal else operator.Operator(parts, "").quarantine.get(entry)
        )
        payload, headers = (found.payload, found.headers) if reveal else (None, None)
        return answer({**serializers.held(found), "payload": payload, "headers": headers})

    @views.post("/quarantine/<entry>/replay")
    def replay(entry: str) -> Response:
        query(NOTHING)
        return answer({"status": operator.replay(parts, entry, who(), body(REASON).get("why", ""))})

    @views.delete("/quarantine/<entry>")
    def release(entry: str) -> Response:
        query(NOTHING)
        operator.release(parts, entry, who())
        return Response(status=204)
