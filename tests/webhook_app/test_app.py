"""The view of a delivery is found without a search, and is the one that Flask would find."""

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from tests.doors import MemoryStore
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source

PATHS = ["/webhooks/app", "/webhooks/app/", "/webhooks/app/more", "/webhooks/another", "/webhooks/"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_a_request_leads_to_the_view_that_flask_finds(method: str, path: str) -> None:
    source = read_source("app", {"verify": "token", "secret": "a-secret-of-the-tests"}, {})
    app = create_app(Parts(store=MemoryStore(), sources={"app": source}))
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
