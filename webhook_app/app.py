"""The Flask application."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from flask import Flask, Request, Response, signals
from flask.globals import request_ctx
from werkzeug.routing import MapAdapter, Rule

from webhook_app import api, cli, dashboard, health, metrics, problems, receiver
from webhook_app.api import by_identifier
from webhook_app.front import Front
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


def delivered_to(method: str, path: str, sources: Mapping[str, Source]) -> Source | None:
    """Return the source that a request is a delivery to."""
    if method != "POST" or not path.startswith(DELIVERIES):
        return None
    return sources.get(path.removeprefix(DELIVERIES).removesuffix("/"))


class LazyRule(Rule):
    """A rule that prepares to build addresses when the first one is needed.

    Werkzeug compiles Python code for each rule, which takes 30 ms for all of ours: most of what a command does.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_now = super()._compile_builder
        compiled: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            if not compiled:
                compiled.append(compile_now(append_unknown))
            return compiled[0](rule, **values)

        return build


class LightRequest(Request):
    """A request that looks for uploaded files only if somebody read its form."""

    def close(self) -> None:
        if "files" in self.__dict__:
            super().close()


class App(Flask):
    """Flask, without the steps around a delivery that find nothing to do.

    Flask searches all views for that of a delivery. Before and after it, it looks for functions to call, and sends
    signals. What somebody registers for all requests, or for the receiver, is still called.
    """

    request_class = LightRequest
    url_rule_class = LazyRule

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds a request's view, or ``None`` if it is found already."""
        if request is not None and (source := delivered_to(request.method, request.path, Parts.of(self).sources)):
            request.url_rule, request.view_args = self.delivery_rule, {"source": source.name}
            return None
        return super().create_url_adapter(request)

    @cached_property
    def delivery_rule(self) -> Rule:
        """The rule of the receiver's view."""
        return next(self.url_map.iter_rules("receiver.receive"))

    def full_dispatch_request(self) -> Response:
        """Answer a request; if it is a delivery, by its view, or by the error handler."""
        context = request_ctx._get_current_object()  # type: ignore[attr-defined]
        request: Request = context.request
        if request.url_rule is not self.delivery_rule or self._has_hooks():
            return super().full_dispatch_request()
        try:
            answer: Any = self.view_functions[self.delivery_rule.endpoint](**request.view_args or {})
        except Exception as error:  # noqa: BLE001 - as Flask does
            answer = self.handle_user_exception(error)
        response = answer if isinstance(answer, Response) else self.make_response(answer)
        return self.process_response(response) if context._after_request_functions else response

    def _has_hooks(self) -> bool:
        """Return whether a function runs before or after the view of a delivery."""
        if signals.request_started.receivers or signals.request_finished.receivers:
            return True
        for functions in (self.url_value_preprocessors, self.before_request_funcs, self.after_request_funcs):
            if None in functions or receiver.blueprint.name in functions:
                return True
        return False

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Call what is registered for the end of requests."""
        if self.teardown_request_funcs or signals.request_tearing_down.receivers:
            super().do_teardown_request(exc)


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
