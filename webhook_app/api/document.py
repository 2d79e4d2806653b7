"""The OpenAPI 3.1 document. Each module of views says in ``PATHS`` what it answers; here that is made complete."""

from typing import Any

from webhook_app.api.schemas import COMPONENTS, KEY, OPERATION_ID, Schema, ref

#: What every address may answer besides.
ALWAYS = (401, 503)
DETAILS = {
    400: "The request is not as it must be; `errors` names each wrong field.",
    401: "Without the token.",
    404: "There is no such thing.",
    409: "It cannot be done now, and nothing was changed; `reason` says why.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "It was understood, but cannot be; `errors` says why for each field.",
    503: "Redis cannot be used now.",
}
IN_PATH = {"key": KEY, "entry": KEY, "id": OPERATION_ID, "cause": {"type": "string", "minLength": 1}}
OPERATOR = {
    "name": "X-Operator",
    "in": "header",
    "description": "Who acts, for the audit. Not proved: it is noted as `<name> (api)`.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._@+-]{1,64}$"},
}


def endpoint(
    summary: str,
    *answers: tuple[int, str],
    query: Schema | None = None,
    body: Schema | None = None,
    changes: bool = False,
    problems: tuple[int, ...] = (),
) -> Schema:
    """One method of an address. ``answers`` are statuses with the names of what is answered, ``CSV`` or nothing;
    ``changes``: whoever asks may say who they are."""
    parameters = [
        {"name": name, "in": "query", "required": name in (query or {}).get("required", ()), "schema": schema}
        for name, schema in (query or {}).get("properties", {}).items()
    ]
    responses: dict[int, Schema] = {}
    for status, name in answers:
        response = responses.setdefault(status, {"description": "Done." if changes else summary})
        if name:
            media, schema = ("text/csv", {"type": "string"}) if name == "CSV" else ("application/json", ref(name))
            response.setdefault("content", {})[media] = {"schema": schema}
    also = {400, 413, 415} if body else {400}
    made: Schema = {
        "summary": summary,
        "parameters": [*parameters, *([OPERATOR] if changes else [])],
        "responses": {
            str(status): responses.get(status) or {"$ref": f"#/components/responses/{status}"}
            for status in sorted({*responses, *problems, *also, *ALWAYS})
        },
    }
    if body:
        made["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {"application/json": {"schema": body}},
        }
    return made


def document(paths: dict[str, Schema]) -> dict[str, Any]:
    """The whole document, of these paths: ``/contacts/{key}`` and the like."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LiveDesk Sync",
            "version": "1",
            "description": "What the dashboard shows and does, as data. Errors are problems as RFC 9457 says.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": {path: _with_parameters(path, methods) for path, methods in sorted(paths.items())},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "`API_TOKEN`"}},
            "schemas": COMPONENTS,
            "responses": {
                str(status): {
                    "description": told,
                    "content": {"application/problem+json": {"schema": ref("Problem")}},
                }
                for status, told in DETAILS.items()
            },
        },
    }


def _with_parameters(path: str, methods: Schema) -> Schema:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    shared = [{"name": name, "in": "path", "required": True, "schema": IN_PATH[name]} for name in names]
    made = {method: {"operationId": _id(method, path), **described} for method, described in methods.items()}
    return {**made, "parameters": shared} if shared else made


def _id(method: str, path: str) -> str:
    words = [word.strip("{}").replace(".", "-") for word in path.strip("/").split("/")]
    return "-".join((method, *words))
