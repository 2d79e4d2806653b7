"""``flask ...``: the commands of an operator.

``audit``       what operators did and the sync decided
``contacts``    ``flask contacts``, ``erase`` and the old ``retry``
``operations``  ``flask operations``, ``pause`` and ``resume``
``quarantine``  deliveries without a usable contact
``imports``     contacts from a file; ``export``: contacts to a file
``reconcile``   created contacts, compared with LiveDesk
``sources``     the senders you accept, and the mistakes in their file; ``try_delivery``: what becomes of a delivery
``workers``     the worker processes
``doctor``      what is broken between a sender and LiveDesk
``send_test``   a sample delivery, followed to the contact
``commands``    the group, the shared options and the exit codes; ``output``: times and tables

``flask doctor`` and ``flask sources`` work with mistakes in the configuration, because they are about those.
"""

from flask import Flask
from werkzeug.exceptions import ServiceUnavailable

from webhook_app.cli import (
    audit,
    contacts,
    doctor,
    export,
    imports,
    operations,
    quarantine,
    reconcile,
    send_test,
    sources,
    try_delivery,
    workers,
)
from webhook_app.cli.commands import cli
from webhook_app.parts import EXTENSION
from worker.errors import SettingsError

MODULES = (
    audit,
    contacts,
    doctor,
    export,
    imports,
    operations,
    quarantine,
    reconcile,
    send_test,
    sources,
    try_delivery,
    workers,
)


def register(app: Flask) -> None:
    """Add the commands of all ``MODULES`` to an application."""
    for command in cli.commands.values():
        app.cli.add_command(command)


def without_parts(error: SettingsError) -> Flask:
    """Create an application with commands only.

    Commands that need a valid configuration print the mistakes in it.
    """
    app = Flask(__name__, static_folder=None)
    app.extensions[EXTENSION] = error
    register(app)
    return not_served(app)


def not_served(app: Flask) -> Flask:
    """Let an application for commands answer 503: ``flask run`` would serve it."""
    app.wsgi_app = ServiceUnavailable(retry_after=60)  # type: ignore[method-assign]
    return app
