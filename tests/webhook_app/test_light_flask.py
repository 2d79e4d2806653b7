"""Requests and answers that are complete only once somebody asks for more than a delivery needs."""

import io
import json
from typing import Any

import pytest
from flask import Flask, Request, Response, after_this_request, has_app_context, has_request_context
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from tests.doors import MemoryStore
from webhook_app.app import create_app
from webhook_app.light_flask import LightRequest
from webhook_app.parts import Parts
from webhook_app.receiver.view import AcceptedResponse
from webhook_app.sources.config import read_source

ADA = {"identifier": "ada", "name": "Ada"}
HEADERS = {"Authorization": "Bearer a-secret-of-the-tests"}
ATTRIBUTES = ["method", "scheme", "server", "root_path", "path", "query_string", "remote_addr", "url", "host_url"]


@pytest.fixture(scope="module")
def app() -> Flask:
    source = read_source("app", {"verify": "token", "secret": "a-secret-of-the-tests"}, {})
    return create_app(Parts(store=MemoryStore(), sources={"app": source}))


def environ() -> dict[str, Any]:
    builder = EnvironBuilder(
        "/webhooks/app?a=1&b=2", "https://sync.example", method="POST", json=ADA, headers=Headers(HEADERS)
    )
    return builder.get_environ()


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_request_has_what_flasks_has(name: str) -> None:
    assert getattr(LightRequest(environ()), name) == getattr(Request(environ()), name)


def test_a_request_can_be_read() -> None:
    request = LightRequest(environ())
    assert (request.get_json(), request.args["b"], request.headers["Authorization"]) == (
        ADA,
        "2",
        HEADERS["Authorization"],
    )


def test_what_was_set_before_somebody_asked_stays() -> None:
    request = LightRequest(environ())
    request.view_args, request.path = {"source": "app"}, "/changed"
    assert (request.method, request.path, request.view_args) == ("POST", "/changed", {"source": "app"})


def test_what_a_request_does_not_have_is_an_error() -> None:
    with pytest.raises(AttributeError, match="'LightRequest' object has no attribute 'shoe_size'"):
        LightRequest(environ()).shoe_size  # type: ignore[attr-defined] # noqa: B018 - reading it is the test


def test_uploaded_files_are_closed() -> None:
    builder = EnvironBuilder("/webhooks/app", method="POST", data={"picture": (io.BytesIO(b"x"), "a.png")})
    request = LightRequest(builder.get_environ())
    file = request.files["picture"]
    request.close()
    assert file.closed


def test_an_answer_has_what_flasks_has() -> None:
    light, usual = AcceptedResponse(ADA, ("accepted",)), Response(b'{"identifier": "ada", "name": "Ada"}', 200)
    usual.content_type = "application/json"
    assert (light.status, light.status_code, light.data) == (usual.status, usual.status_code, usual.data)
    assert dict(light.headers) == dict(usual.headers)


@pytest.mark.parametrize("changes", [{"status_code": 202}, {"status": "202 Stored"}, {"mimetype": "text/plain"}])
def test_an_answer_can_be_changed(changes: dict[str, Any], app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    view = app.view_functions["receiver.receive"]

    def receive(source: str) -> Any:
        @after_this_request
        def change(response: Response) -> Response:
            for name, value in changes.items():
                setattr(response, name, value)
            return response

        return view(source)

    monkeypatch.setitem(app.view_functions, "receiver.receive", receive)
    answer = app.test_client().post("/webhooks/app", json=ADA, headers=HEADERS)
    assert {name: getattr(answer, name) for name in changes} == changes
    assert (json.loads(answer.data)["identifier"], answer.headers["Content-Length"]) == ("ada", str(len(answer.data)))


def test_no_context_is_left(app: Flask) -> None:
    with app.test_client() as client:
        assert client.post("/webhooks/app", json=ADA, headers=HEADERS).status_code == 200
    assert (has_app_context(), has_request_context()) == (False, False)
