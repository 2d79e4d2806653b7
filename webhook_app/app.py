"""The Flask application."""

from collections.abc import Callable, Mapping
from functools import cache, cached_property

from flask import Flask, Request
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

        @cache
        def compiled() -> Callable[..., tuple[str, str]]:
            return compile_now(append_unknown)

        return lambda rule, **values: compiled()(rule, **values)


class App(Flask):
    """Flask, which finds the view of a delivery without a search.

    Every delivery needs it, and the search among all views costs as much as verifying a signature.
    """

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
