"""The Flask application."""

from flask import Flask

from webhook_app import api, cli, dashboard, health, metrics, problems, receiver
from webhook_app.api import by_identifier
from webhook_app.front import Front
from webhook_app.parts import EXTENSION, Parts

BLUEPRINTS = (
    receiver.blueprint,
    by_identifier.blueprint,
    api.blueprint,
    health.blueprint,
    metrics.blueprint,
    dashboard.blueprint,
)


def create_app(parts: Parts) -> Flask:
    """Create the application from parts that are ready to use."""
    app = Flask(__name__, static_folder=None)
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
