"""``flask erase``: a person is forgotten."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from webhook_app.cli.filters import acting
from webhook_app.cli.output import sentences

if TYPE_CHECKING:
    from webhook_app.parts import Parts

ERASED = (
    "It is forgotten, and with it that it was ever here: a delivery with this identifier that comes now, even an old\n"
    "one that is repeated, makes a new contact. Let the sender forget the person, too."
)
STILL_THERE = "LiveDesk still has contact {contact_id}: delete it there, too."
UNKNOWN = (
    "Nobody knows what became of a create for it: LiveDesk may have it, or may have it in a minute. Search for the\n"
    "identifier there before it is sent again, else it may be there twice."
)


def command(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("erase")
    @click.argument("identifier")
    @acting
    def erase(identifier: str, who: str, why: str) -> None:
        """Forget the contact with this IDENTIFIER: everything that Redis holds about it.

        LiveDesk keeps what it has. What is in quarantine cannot be found by an identifier: see quarantine list.
        """
        with sentences():
            found = parts()
            erased = found.store.contacts.erase(identifier)
            if erased.result == "erased":
                found.store.audit.add(who, "erased", found.store.key_of(identifier), why)
        if erased.result == "gone":
            raise click.ClickException("There is no contact with this identifier.")
        if erased.result == "busy":
            raise click.ClickException("An attempt is running; nothing was changed. Try again in a minute.")
        click.echo(ERASED)
        if erased.contact_id:
            click.echo(STILL_THERE.format(contact_id=erased.contact_id))
        if erased.is_unknown:
            click.echo(UNKNOWN)

    return erase
