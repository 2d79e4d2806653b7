"""The OpenAPI 3.1 document, generated from routes, docstrings and ``describe``."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import msgspec
from flask import Blueprint, Flask
from werkzeug import Response

from webhook_app.api.blueprint import answer
from webhook_app.api.params import get_operator, read_body, read_query
from webhook_app.api.schemas import KEY, NAME, OPERATION_ID, OPERATOR, PROBLEM, Schema, record
from webhook_app.present.shapes import Answer, Time

NO_PARAMETERS = record({}, ())
#: What every endpoint may answer.
ALWAYS = (400, 401, 503)
PROBLEMS = {
    400: "The request does not match the schema; `errors` names each invalid field.",
    401: "The token is missing or wrong.",
    404: "The contact, operation, cause or delivery does not exist.",
    409: "The action is not possible now, and nothing was changed; `reason` says why.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The values are invalid; `errors` has a sentence for each field.",
    503: "Redis is unavailable.",
}
IN_PATH = {"key": KEY, "entry": KEY, "id": OPERATION_ID, "cause": NAME}
SCHEMA = "#/components/schemas/{name}"


class Csv:
    """The answer is a CSV file."""


class Document:
    """The answer is an OpenAPI document."""


class Nothing:
    """The answer has no body."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The answer is an object with one list, of this name and these shapes."""

    name: str
    shape: type[Answer]


class describe:  # noqa: N801 - used as a decorator only
    """Describe a view, and check each request against that before calling it.

    ``answers`` are the shapes of what the view answers, with a status if it is not 200. The view gets ``query`` and
    ``body`` if it has them and, if it ``acts``, an ``operator``. It returns a shape, or a response with another status.
    """

    def __init__(
        self,
        *answers: type | Listing | tuple[int, type],
        query: Schema = NO_PARAMETERS,
        body: Schema | None = None,
        acts: bool = False,
        problems: tuple[int, ...] = (),
    ) -> None:
        self.answers = [one if isinstance(one, tuple) else (200, one) for one in answers]
        self.query, self.body, self.acts, self.problems = query, body, acts, problems

    def __call__(self, view: Callable[..., object]) -> Callable[..., Response]:
        @wraps(view)
        def checked(**arguments: Any) -> Response:
            values = read_query(self.query)
            if self.query["properties"]:
                arguments["query"] = values
            if self.acts:
                arguments["operator"] = get_operator()
            if self.body:
                arguments["body"] = read_body(self.body)
            made = view(**arguments)
            return made if isinstance(made, Response) else answer(made)

        checked.description = self  # type: ignore[attr-defined]
        return checked


def build_document(blueprint: Blueprint) -> Schema:
    """Return the document of all views in a blueprint."""
    app = Flask(__name__)
    app.register_blueprint(blueprint)
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(f"{blueprint.name}.")]
    prefix = blueprint.url_prefix or ""
    paths: Schema = {}
    for rule in rules:
        path = re.sub("<([a-z]+)>", r"{\1}", rule.rule.removeprefix(prefix))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            operation = _operation(rule.endpoint.rpartition(".")[2], app.view_functions[rule.endpoint])
            paths.setdefault(path, _path_parameters(path))[method.lower()] = operation
    schemas = _schemas([app.view_functions[rule.endpoint] for rule in rules])
    return {
        "openapi": "3.1.0",
        "info": {"title": "LiveDesk Sync", "version": "1", "description": "What the dashboard displays and does."},
        "servers": [{"url": prefix}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "The API_TOKEN."}},
            "schemas": {**schemas, "Problem": PROBLEM},
            "responses": {str(status): _problem(text) for status, text in PROBLEMS.items()},
        },
    }


def _problem(text: str) -> Schema:
    schema = {"$ref": SCHEMA.format(name="Problem")}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


def _schemas(views: list[Callable[..., Any]]) -> Schema:
    """Return the schemas of all shapes that the views answer."""
    answers = [one for view in views for _, one in _description(view).answers]
    shapes = {one.shape if isinstance(one, Listing) else one for one in answers} - {Csv, Document, Nothing}
    return msgspec.json.schema_components(
        sorted(shapes, key=lambda shape: shape.__name__), schema_hook=_text_schema, ref_template=SCHEMA
    )[1]


def _description(view: Any) -> describe:
    described: describe = view.description
    return described


def _text_schema(shape: type) -> Schema:
    return {"type": "string", **({"format": "date-time"} if shape is Time else {})}


def _path_parameters(path: str) -> Schema:
    names = re.findall("{([a-z]+)}", path)
    shared = [{"name": name, "in": "path", "required": True, "schema": IN_PATH[name]} for name in names]
    return {"parameters": shared} if shared else {}


def _operation(operation_id: str, view: Callable[..., Any]) -> Schema:
    described = _description(view)
    required = described.query.get("required", ())
    parameters: list[Schema] = [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in described.query["properties"].items()
    ]
    summary = (view.__doc__ or "").partition("\n")[0].rstrip(".")
    operation: Schema = {
        "operationId": operation_id,
        "tags": [view.__module__.rpartition(".")[2]],
        "summary": summary,
        "parameters": [*parameters, *([OPERATOR] if described.acts else [])],
        "responses": _responses(described, summary),
    }
    if described.body:
        content = {"application/json": {"schema": described.body}}
        operation["requestBody"] = {"required": bool(described.body.get("required")), "content": content}
    return operation


def _responses(described: describe, summary: str) -> Schema:
    responses: Schema = {}
    for status, shape in described.answers:
        response = responses.setdefault(str(status), {"description": summary})
        if shape is not Nothing:
            media_type = "text/csv" if shape is Csv else "application/json"
            response.setdefault("content", {})[media_type] = {"schema": _answer_schema(shape)}
    for status in (*ALWAYS, *described.problems, *((413, 415) if described.body else ())):
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return dict(sorted(responses.items()))


def _answer_schema(shape: type | Listing) -> Schema:
    if isinstance(shape, Listing):
        return record({shape.name: {"type": "array", "items": _answer_schema(shape.shape)}}, (shape.name,))
    named: dict[type, Schema] = {Csv: {"type": "string"}, Document: {"type": "object"}}
    return named.get(shape) or {"$ref": SCHEMA.format(name=shape.__name__)}
