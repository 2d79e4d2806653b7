"""How things stand: LiveDesk, counts, causes, sources, workers, and what people did; and pause and resume."""

from typing import TYPE_CHECKING

from flask import Blueprint
from werkzeug import Response

from webhook_app import operator
from webhook_app.api.answers import answer
from webhook_app.api.document import endpoint
from webhook_app.api.params import body, query, who
from webhook_app.api.schemas import AUDIT, CAUSES, NOTHING, PAGE, REASON
from webhook_app.present import serializers
from webhook_app.present.serializers import rfc3339
from webhook_app.problems import problem
from worker.store.overview import DELIVERY, REFUSED, under

if TYPE_CHECKING:
    from webhook_app.parts import Parts

PATHS = {
    "/situation": {"get": endpoint("How things stand, at a glance", (200, "Situation"))},
    "/flow": {"get": endpoint("What happened in each minute of the last hour", (200, "Flow"))},
    "/causes": {"get": endpoint("What contacts fail with, most contacts first", (200, "Causes"), query=CAUSES)},
    "/causes/{cause}": {"get": endpoint("One cause", (200, "Cause"), problems=(404,))},
    "/upstream": {"get": endpoint("How LiveDesk is treated now", (200, "Upstream"))},
    "/upstream/pause": {
        "post": endpoint(
            "Send nothing to LiveDesk until somebody resumes",
            (200, "Upstream"),
            body=REASON,
            changes=True,
            problems=(409,),
        )
    },
    "/upstream/resume": {
        "post": endpoint("End the pause", (200, "Upstream"), body=REASON, changes=True, problems=(409,))
    },
    "/sources": {
        "get": endpoint("Who may send, when each secret was last used, and what became of deliveries", (200, "Sources"))
    },
    "/workers": {"get": endpoint("When a worker on each host last made progress", (200, "Workers"))},
    "/audit": {"get": endpoint("What people did by hand, the latest first", (200, "Audit"), query=AUDIT)},
    "/openapi.json": {"get": endpoint("This document", (200, "Document"))},
}


def register(views: Blueprint, parts: "Parts") -> None:
    _register_views(views, parts)
    _register_pause(views, parts)
    _register_lists(views, parts)


def _register_views(views: Blueprint, parts: "Parts") -> None:
    @views.get("/situation")
    def situation() -> Response:
        query(NOTHING)
        return answer(serializers.situation(parts.situations.read()))

    @views.get("/flow")
    def flow() -> Response:
        query(NOTHING)
        return answer({"minutes": [serializers.minute(one) for one in parts.situations.flow()]})

    @views.get("/causes")
    def causes() -> Response:
        most = query(CAUSES).get("limit", 50)
        return answer({"causes": [serializers.cause(group) for group in parts.situations.causes(most)]})

    @views.get("/causes/<cause>")
    def cause(cause: str) -> Response:
        query(NOTHING)
        group = parts.situations.cause(cause)
        return answer(serializers.cause(group)) if group else problem(404, "This cause was never seen.")


def _register_pause(views: Blueprint, parts: "Parts") -> None:
    @views.get("/upstream")
    def upstream() -> Response:
        query(NOTHING)
        return answer(serializers.upstream(parts.situations.upstream()))

    @views.post("/upstream/pause")
    def pause() -> Response:
        query(NOTHING)
        operator.pause(parts, who(), body(REASON).get("why", ""))
        return answer(serializers.upstream(parts.situations.upstream()))

    @views.post("/upstream/resume")
    def resume() -> Response:
        query(NOTHING)
        operator.resume(parts, who(), body(REASON).get("why", ""))
        return answer(serializers.upstream(parts.situations.upstream()))


def _register_lists(views: Blueprint, parts: "Parts") -> None:
    @views.get("/sources")
    def sources() -> Response:
        query(NOTHING)
        used, tallies = parts.history.secrets_used(), parts.situations.tallies(DELIVERY, REFUSED)
        listed = [
            {
                "name": name,
                "address": f"/webhooks/{name}",
                "preset": source.preset,
                "on_invalid": source.on_invalid,
                "region": source.region,
                "inbox_id": source.inbox_id,
                "blocking": source.blocking,
                "secrets": [
                    {"name": secret, "last_used_at": rfc3339(used.get(f"{name}:{secret}"))}
                    for secret in source.secret_names
                ],
                "deliveries": serializers.tallies("status", under(f"{DELIVERY}{name}:", tallies)),
                "refusals": serializers.tallies("reason", under(f"{REFUSED}{name}:", tallies)),
            }
            for name, source in parts.sources.items()
        ]
        return answer({"sources": listed})

    @views.get("/workers")
    def workers() -> Response:
        query(NOTHING)
        return answer(serializers.workers(parts.history.workers()))

    @views.get("/audit")
    def audit() -> Response:
        asked = query(AUDIT)
        entries = parts.history.audit(before=asked.get("before"), limit=asked.get("limit", PAGE))
        return answer({"entries": [serializers.audited(entry) for entry in entries]})
