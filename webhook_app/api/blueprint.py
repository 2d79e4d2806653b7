"""What all views of ``/api/v1`` share: the token, the answers and the errors. There are no cookies here."""

import hmac
from collections.abc import Callable
from typing import Any

from flask import Blueprint, request
from werkzeug import Response

from webhook_app.api.params import InvalidRequest
from webhook_app.operator import ActionRefused, InvalidInput, Reason
from webhook_app.parts import current_parts
from webhook_app.present.serializers import to_json
from webhook_app.problems import problem


class ApiBlueprint(Blueprint):
    """A blueprint that remembers its routes, so that the OpenAPI document can be generated from them."""

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        #: The rule, the methods, the operation id and the view of each route.
        self.routes: list[tuple[str, list[str], str, Callable[..., Any]]] = []

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)
        assert view_func is not None
        self.routes.append((rule, options["methods"], endpoint or view_func.__name__, view_func))


blueprint = ApiBlueprint("api", __name__, url_prefix="/api/v1")


def is_authorized(header: str, token: str | None) -> bool:
    """Whether ``Authorization: Bearer <token>`` is right; never without a token."""
    scheme, _, given = header.partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("latin-1", errors="replace"), token.encode())


def require_token() -> Response | None:
    """Reject a request that does not carry ``API_TOKEN``."""
    token = current_parts().api_token
    if is_authorized(request.headers.get("Authorization", ""), token):
        return None
    detail = "Send the API_TOKEN as Authorization: Bearer." if token else "The API is off: API_TOKEN is not set."
    return problem(401, detail, headers={"WWW-Authenticate": "Bearer"})


def answer(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a shape, or what JSON can express, as a response."""
    return Response(to_json(document), status, headers, content_type="application/json")


blueprint.before_request(require_token)


@blueprint.after_request
def forbid_caching(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.errorhandler(InvalidRequest)
def invalid_request(error: InvalidRequest) -> Response:
    return problem(error.status, "The request does not match the API's schema.", errors=error.errors)


@blueprint.errorhandler(InvalidInput)
def invalid_input(error: InvalidInput) -> Response:
    return problem(422, "The values are invalid.", errors=error.problems)


@blueprint.errorhandler(ActionRefused)
def action_refused(error: ActionRefused) -> Response:
    return problem(404 if error.reason is Reason.GONE else 409, str(error), reason=error.reason)
