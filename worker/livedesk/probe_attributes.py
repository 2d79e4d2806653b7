"""Live probes of attributes: whether a create takes them, and what an update does.

LiveDesk's pages list attributes for an update, which merges them, but not for a create (livedesk-api 1.3, 1.5).
"""

from collections.abc import Callable, Mapping

from worker.errors import Inconclusive, LiveDeskError
from worker.livedesk.answers import Created, Person
from worker.livedesk.checks import CheckResult, Level
from worker.livedesk.client import LiveDesk
from worker.model import DELETED_AT, Attribute, Contact

#: How long a search is repeated until it shows what has changed, and the time between two searches.
SEARCH_FOR_S, SEARCH_EVERY_S = 10.0, 1.0
#: What the create sends: the attribute that marks people whom a source has deleted, and one that Chatwoot has itself.
CUSTOM: Mapping[str, Attribute] = {DELETED_AT: "2000-01-01T00:00:00Z"}
ADDITIONAL: Mapping[str, Attribute] = {"city": "Berlin"}
#: What an update changes of them, and how a value is recognised that LiveDesk writes in another way.
CHANGED: Mapping[str, Attribute] = {DELETED_AT: "2001-01-01T00:00:00Z"}
CHANGED_TO = "2001"
#: What another update adds to them.
ADDED: Mapping[str, Attribute] = {"livedesk_sync_doctor": "update"}
TAKES = "A create takes attributes, so that a new contact with attributes needs one request, not two."
DROPS = "A create does not take attributes: a new contact with attributes needs an update as a second request."
MERGES = "An update changes only what it names: attributes that agents set stay."
REPLACES = "An update removes the custom attributes that it does not name, those of agents too."
IGNORES = "An update does not store custom attributes: mapped attributes and marks of deleted people are lost."
DEFINED = "An update stores only custom attributes that LiveDesk's project settings define: define those that you map."
UNSEEN = "Not known: LiveDesk does not show the contact that was created with attributes."
DEFINE = (
    "Define account_deleted_at and the attributes that you map in LiveDesk's project settings; run flask doctor again."
)
MAP_NONE = 'Map no custom_attributes, and do not set on_delete = "mark", or agents lose theirs.'


def with_attributes(contact: Contact) -> Contact:
    """Return the contact with the attributes that these probes look for."""
    return Contact(**{**contact.present(), "custom_attributes": CUSTOM, "additional_attributes": ADDITIONAL})


class AttributeProbe:
    """Looks at a contact that was created ``with_attributes``, and updates it."""

    def __init__(
        self, livedesk: LiveDesk, contact: Contact, *, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self.livedesk = livedesk
        self.contact = contact
        self.sleep = sleep
        self.clock = clock

    def creates(self, created: Created | None) -> tuple[bool | None, CheckResult]:
        """Return whether the create took them; ``None`` for ``created``: it was refused."""
        shown = created and (self._seen(created.contact_id) or created.shown)
        if created and not shown:
            return None, CheckResult(Level.WARNING, "attributes", UNSEEN)
        takes = bool(shown and _has(shown.custom_attributes, CUSTOM) and _has(shown.additional_attributes, ADDITIONAL))
        return takes, CheckResult(Level.OK, "attributes", TAKES if takes else DROPS)

    def updates(self, contact_id: str) -> CheckResult:
        """Update the contact twice, and see what is left."""
        try:
            for attributes in (CHANGED, ADDED):
                self.livedesk.update(contact_id, {"custom_attributes": dict(attributes)})
        except LiveDeskError as error:
            text = f"LiveDesk refuses an update: {error.cause.title}."
            return CheckResult(Level.WARNING, "updates", text, f"Changes cannot be sent. {error.cause.todo}")
        began = self.clock()
        while (person := self._seen(contact_id)) and not _has(person.custom_attributes, ADDED):
            if self.clock() - began > SEARCH_FOR_S:
                if CHANGED_TO in str(person.custom_attributes.get(DELETED_AT)):
                    return CheckResult(Level.OK, "updates", DEFINED)
                return CheckResult(Level.WARNING, "updates", IGNORES, DEFINE)
            self.sleep(SEARCH_EVERY_S)
        if person is None:
            return CheckResult(Level.WARNING, "updates", UNSEEN)
        if not _has(person.custom_attributes, CUSTOM):
            return CheckResult(Level.WARNING, "updates", REPLACES, MAP_NONE)
        return CheckResult(Level.OK, "updates", MERGES)

    def _seen(self, contact_id: str) -> Person | None:
        """Return the contact as a search shows it, or as LiveDesk shows it by its id."""
        try:
            found = self.livedesk.look_up(self.contact.identifier)
        except Inconclusive:
            found = []
        return next((person for person in found if person.id == contact_id), None) or self.livedesk.read(contact_id)


def _has(attributes: Mapping[str, Attribute], wanted: Mapping[str, Attribute]) -> bool:
    """Whether it has them; LiveDesk may write a value in another way."""
    return wanted.keys() <= attributes.keys()
