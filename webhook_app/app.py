"""The Flask application."""

from flask import Flask

from webhook_app import api, cli, dashboard, health, metrics, problems
from webhook_app.api import by_identifier
from webhook_app.parts import EXTENSION, Parts
from webhook_app.receiver.view import Receiver


def create_app(parts: Parts) -> Flask:
    """The WSGI application, from parts that are ready to use."""
    app = Flask(__name__, static_folder=None)
    app.extensions[EXTENSION] = parts
    # An identifier may hold anything, two slashes in a row too.
    app.url_map.merge_slashes = False
    app.url_map.converters["identifier"] = by_identifier.IdentifierConverter
    problems.register(app)
    app.register_blueprint(by_identifier.blueprint(parts))
    app.register_blueprint(api.blueprint(parts))
    app.register_blueprint(health.blueprint(parts))
    app.register_blueprint(metrics.blueprint(parts))
    dashboard.register(app, parts)
    cli.register(app, lambda: parts)
    app.wsgi_app = Receiver(parts, app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to add middleware
    return app
