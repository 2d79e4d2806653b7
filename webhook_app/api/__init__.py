"""``/api/v1``: the dashboard's data and actions as JSON, for ``API_TOKEN``.

``blueprint``      the token, the answers and the errors
``overview``       LiveDesk, counts, causes, sources, workers, audit
``contacts``       lists, one contact, and its actions
``operations``     many contacts at once
``quarantine``     deliveries without a usable contact
``by_identifier``  ``GET /contacts/<identifier>``, which is older than the rest
``schemas``        the schemas of requests, and ``params`` checks requests against them
``document``       ``describe`` for the views, and the OpenAPI document made from that

What a view answers is a shape of ``present.shapes``, and what it does is done by ``Operator``.
"""

from werkzeug import Response

from webhook_app.api import contacts, operations, overview, quarantine
from webhook_app.api.blueprint import answer, blueprint
from webhook_app.api.document import Document, build_document, describe

__all__ = ["DOCUMENT", "blueprint", "contacts", "operations", "overview", "quarantine"]


@blueprint.get("/openapi.json")
@describe(Document)
def get_openapi_document() -> Response:
    """Get this document."""
    return answer(DOCUMENT)


DOCUMENT = build_document(blueprint)
