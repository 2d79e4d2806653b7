"""What is left out for a delivery: a search for its view, and steps that have nothing to do."""

from typing import Any

import pytest
from flask import (
    Flask,
    Response,
    after_this_request,
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    current_app,
    g,
    request,
    request_finished,
    request_started,
    request_tearing_down,
    session,
)
from flask.sessions import NullSession
from werkzeug.exceptions import HTTPException, InternalServerError

from tests.doors import MemoryStore
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source

SOURCE = {"verify": "token", "secret": "a-secret-of-the-tests"}
HEADERS = {"Authorization": "Bearer a-secret-of-the-tests"}
ADA = {"identifier": "ada", "name": "Ada"}
#: Where an app has the functions that it calls for requests, and the signals that it sends.
HOOKS = ["url_value_preprocessors", "before_request_funcs", "after_request_funcs", "teardown_request_funcs"]
SIGNALS = {
    "request_started": request_started,
    "request_finished": request_finished,
    "request_tearing_down": request_tearing_down,
    "appcontext_pushed": appcontext_pushed,
    "appcontext_tearing_down": appcontext_tearing_down,
    "appcontext_popped": appcontext_popped,
}
PATHS = ["/webhooks/app", "/webhooks/app/", "/webhooks/app/more", "/webhooks/another", "/webhooks/"]


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(Parts(store=MemoryStore(), sources={"app": read_source("app", SOURCE, {})}))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_a_request_leads_to_the_view_that_flask_finds(method: str, path: str, app: Flask) -> None:
    with app.test_request_context(path, method=method) as context:
        found = getattr(context.request.url_rule, "endpoint", None), context.request.view_args
        adapter = Flask.create_url_adapter(app, context.request)
        assert adapter is not None
        try:
            rule, args = adapter.match(return_rule=True)
        except HTTPException:
            assert found == (None, None)
        else:
            assert found == (rule.endpoint, args)
    assert (context.url_adapter is None) == (method == "POST" and path.strip("/") == "webhooks/app")


@pytest.mark.parametrize("secret", ["a-secret-of-the-tests", "another-one-of-the-tests"])
@pytest.mark.parametrize("blueprint", [None, "receiver"])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_called_for_a_delivery(
    hook: str, blueprint: str | None, secret: str, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def call(*given: Any) -> Any:
        calls.append(request.endpoint)
        return given[0] if hook == "after_request_funcs" else None

    monkeypatch.setitem(getattr(app, hook), blueprint, [call])
    answer = app.test_client().post("/webhooks/app", json=ADA, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == (200 if secret == "a-secret-of-the-tests" else 401)
    assert calls == ["receiver.receive"]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_sent_for_a_delivery(name: str, app: Flask) -> None:
    calls = []

    def receive(_sender: Flask, **_given: Any) -> None:
        calls.append(name)

    with SIGNALS[name].connected_to(receive, app):
        answer = app.test_client().post("/webhooks/app", json=ADA, headers=HEADERS)
    assert (answer.status_code, calls) == (200, [name])


def test_a_hook_may_answer_a_delivery(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.before_request_funcs, None, [lambda: "closed"])
    assert app.test_client().post("/webhooks/app", json=ADA, headers=HEADERS).text == "closed"


def test_the_view_of_a_delivery_runs_in_contexts_of_its_own(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def receive(source: str) -> str:
        seen.append((current_app.name, request.endpoint, request.blueprint, request.get_json(), g.get("taken")))
        g.taken = source
        assert isinstance(session._get_current_object(), NullSession)  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="session is unavailable"):
            session["user"] = "ada"

        @after_this_request
        def mark(response: Response) -> Response:
            response.headers["X-After"] = source
            return response

        return "taken"

    monkeypatch.setitem(app.view_functions, "receiver.receive", receive)
    answers = [app.test_client().post("/webhooks/app", json=ADA) for _ in range(2)]
    assert [(answer.text, answer.headers["X-After"]) for answer in answers] == [("taken", "app")] * 2
    assert seen == [(app.name, "receiver.receive", "receiver", ADA, None)] * 2


def test_a_bug_in_the_receivers_error_handler_is_answered_as_in_flask(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(error: Exception) -> tuple[str, int]:
        if not isinstance(error, InternalServerError):
            raise ValueError
        return "a bug", 500

    monkeypatch.setitem(app.error_handler_spec["receiver"][None], Exception, refuse)
    answer = app.test_client().post("/webhooks/app", json=ADA)
    assert (answer.status_code, answer.text) == (500, "a bug")
    assert "Exception on /webhooks/app [POST]" in caplog.text
