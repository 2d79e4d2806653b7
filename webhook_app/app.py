"""The Flask application."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask, Request, Response
from flask.ctx import RequestContext
from flask.globals import request_ctx
from werkzeug.routing import MapAdapter, Rule

from webhook_app import api, cli, dashboard, health, metrics, problems, receiver
from webhook_app.api import by_identifier
from webhook_app.front import Front
from webhook_app.light_flask import SIGNALS, DeliveryContext, LazyRule, LightRequest
from webhook_app.parts import EXTENSION, Parts
from webhook_app.sources import Source

BLUEPRINTS = (
    receiver.blueprint,
    by_identifier.blueprint,
    api.blueprint,
    health.blueprint,
    metrics.blueprint,
    dashboard.blueprint,
)

#: Where deliveries are sent to.
DELIVERIES = "/webhooks/"
#: Where the environ of a request has the source that it is a delivery to, once that was asked for.
SOURCE = "livedesk_sync.source"


def delivered_to(environ: WSGIEnvironment, sources: Mapping[str, Source]) -> Source | None:
    """Return the source that a request is a delivery to."""
    if SOURCE not in environ:
        path: str = environ["PATH_INFO"]
        is_delivery = environ["REQUEST_METHOD"] == "POST" and path.startswith(DELIVERIES)
        environ[SOURCE] = sources.get(path.removeprefix(DELIVERIES).removesuffix("/")) if is_delivery else None
    source: Source | None = environ[SOURCE]
    return source


class App(Flask):
    """Flask, without the steps around a delivery that find nothing to do.

    Flask searches all views for that of a delivery. Before and after it, it looks for functions to call, and sends
    signals. What somebody registers for all requests, or for the receiver, is still called.
    """

    request_class = LightRequest
    url_rule_class = LazyRule

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Return the context of a request."""
        source = delivered_to(environ, Parts.of(self).sources)
        if source is None or self._has_hooks():
            return super().request_context(environ)
        return DeliveryContext(self, environ, self.delivery_rule, source.name)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds a request's view, or ``None`` if it is found already."""
        is_found = request is not None and request.url_rule is not None
        return None if is_found else super().create_url_adapter(request)

    @cached_property
    def delivery_rule(self) -> Rule:
        """The rule of the receiver's view."""
        return next(self.url_map.iter_rules("receiver.receive"))

    def full_dispatch_request(self) -> Response:
        """Answer a request; if it is a delivery, by its view, or by the error handler."""
        context = request_ctx._get_current_object()  # type: ignore[attr-defined]
        if not isinstance(context, DeliveryContext):
            return super().full_dispatch_request()
        try:
            answer: Any = self.view_functions[self.delivery_rule.endpoint](**context.request.view_args or {})
        except Exception as error:  # noqa: BLE001 - as Flask does
            answer = self.handle_user_exception(error)
        response = answer if isinstance(answer, Response) else self.make_response(answer)
        return self.process_response(response) if context._after_request_functions else response

    def _has_hooks(self) -> bool:
        """Return whether something is called before or after the view of a delivery."""
        for signal in SIGNALS:
            if signal.receivers:
                return True
        if self.teardown_appcontext_funcs:
            return True
        by_blueprint = self.url_value_preprocessors, self.before_request_funcs, self.after_request_funcs
        for functions in (*by_blueprint, self.teardown_request_funcs):
            if None in functions or receiver.blueprint.name in functions:
                return True
        return False


def create_app(parts: Parts) -> Flask:
    """Create the application from parts that are ready to use."""
    app = App(__name__, static_folder=None)
    app.extensions[EXTENSION] = parts
    # An identifier may contain anything, including two slashes in a row.
    app.url_map.merge_slashes = False
    app.url_map.converters["identifier"] = by_identifier.IdentifierConverter
    problems.register(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    dashboard.init_app(app)
    cli.register(app)
    app.wsgi_app = Front(app.wsgi_app, proxies=parts.access.proxies, public_url=parts.public_url)  # type: ignore[method-assign]
    return app
