"""What all views of ``/api/v1`` share: token, answers and errors; no cookies."""

from flask import Blueprint, request
from werkzeug import Response

from webhook_app.api.params import InvalidRequest
from webhook_app.bearer import is_authorized
from webhook_app.operator import ActionRefused, InvalidInput, Reason
from webhook_app.parts import current_parts
from webhook_app.present.serializers import to_json
from webhook_app.problems import problem

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


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
