"""``flask --app webhook_app.wsgi ...``: what an operator does by hand.

``doctor``       what is broken on the way from a sender to LiveDesk
``sources``      who may send, and whether the file that says so is right
``send_test``    a sample delivery, followed to the contact
``quarantine``   deliveries that made no contact
``reconcile``    what we hold as created, compared with LiveDesk
``imports``      contacts from a file; ``export``: what we hold; ``rows``: the form of both
``erase``        a person is forgotten
``contacts``     contacts, listed and shown, retried, given up; ``operations``: many of them; ``filters``: which ones
``pause``        nothing is sent to LiveDesk, until ``resume``
``words``        how times, tables and what went wrong are told
``toml_lines``   where in a TOML file something stands

Commands take a function that gives the parts, not the parts: ``sources check`` must work just when there are none.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from flask import Flask
from werkzeug.exceptions import ServiceUnavailable

from webhook_app.cli import (
    contacts,
    doctor,
    erase,
    export,
    imports,
    operations,
    pause,
    quarantine,
    reconcile,
    send_test,
    sources,
)
from webhook_app.cli.output import sentences
from worker.errors import SettingsError

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: What ``store.contacts.retry_now`` answers, in words.
RETRY_ANSWERS = {
    "pending": "It is due now.",
    "retrying": "It is due now.",
    "busy": "An attempt is running; nothing was changed.",
    "created": "It is created already; nothing was changed.",
}


def register(app: Flask, parts: "Callable[[], Parts]") -> None:
    """Adds the commands to an app. ``parts`` raises ``SettingsError`` where the configuration has mistakes."""
    app.cli.add_command(_retry(parts))
    app.cli.add_command(pause.resume(parts))
    for module in (
        doctor,
        sources,
        send_test,
        quarantine,
        reconcile,
        imports,
        export,
        erase,
        contacts,
        operations,
        pause,
    ):
        app.cli.add_command(module.command(parts))


def without_parts(error: SettingsError) -> Flask:
    """An app that has nothing but the commands; those that need a right configuration say what is wrong with it."""

    def parts() -> "Parts":
        raise error

    app = Flask(__name__, static_folder=None)
    register(app, parts)
    # `flask run` would serve it: nobody may take its answers for the receiver's.
    app.wsgi_app = ServiceUnavailable(retry_after=60)  # type: ignore[method-assign]
    return app


def _retry(parts: "Callable[[], Parts]") -> click.Command:
    # An identifier may begin with "-".
    @click.command("retry", context_settings={"ignore_unknown_options": True})
    @click.argument("identifier")
    def retry(identifier: str) -> None:
        """Make the contact with this IDENTIFIER due at once, with a fresh retry budget."""
        with sentences():
            found = parts()
            answer = found.store.contacts.retry_now(identifier, who="command line")
            if answer in ("pending", "retrying"):
                found.store.audit.add("command line", "retried", found.store.key_of(identifier))
        if answer == "gone":
            raise click.ClickException("There is no contact with this identifier.")
        click.echo(RETRY_ANSWERS[answer])

    return retry
