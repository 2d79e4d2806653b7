"""``GET /contacts/<identifier>``: one contact without its personal data."""

from flask import Blueprint
from werkzeug import Response
from werkzeug.routing import BaseConverter

from webhook_app.api.blueprint import answer, require_token
from webhook_app.parts import current_parts
from webhook_app.present import serializers
from webhook_app.problems import problem

blueprint = Blueprint("contacts", __name__)
blueprint.before_request(require_token)


class IdentifierConverter(BaseConverter):
    """The rest of the path: an identifier may contain slashes."""

    regex = ".+"
    part_isolating = False


@blueprint.get("/contacts/<identifier:identifier>")
def get_contact_by_identifier(identifier: str) -> Response:
    record = current_parts().store.contacts.find(identifier)
    if record is None:
        return problem(404, "There is no contact with this identifier.")
    return answer(serializers.record(record))
