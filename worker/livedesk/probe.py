"""Live probes: find out how a LiveDesk account behaves.

They create contacts and delete them again. LiveDesk's pages do not say whether identifiers are unique, or when a search
finds a new contact. Both decide what can be promised (livedesk-api 3.6). Nor do they say whether a create takes
attributes, and whether contacts can be deleted. The contacts have identifiers that begin with
``livedesk-sync-doctor-``.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from worker import causes
from worker.errors import Inconclusive, LiveDeskError, Rejected
from worker.livedesk.answers import Created, Deletion
from worker.livedesk.checks import CheckResult, Level
from worker.livedesk.client import LiveDesk
from worker.livedesk.probe_attributes import SEARCH_EVERY_S, SEARCH_FOR_S, AttributeProbe, with_attributes
from worker.model import Account, Contact, Signal

NAME = "LiveDesk Sync doctor"
SUPPORT = "Contact LiveDesk support."
DELETES = 'LiveDesk lets us delete contacts: sources with on_delete = "delete" do that.'
MARKS = 'LiveDesk does not let us delete contacts: sources with on_delete = "delete" mark them instead.'


class Probe:
    """One round of probes; ``account`` is its result, ``None`` if it did not finish.

    ``sleep`` and ``clock`` are in seconds.
    """

    def __init__(
        self,
        livedesk: LiveDesk,
        inbox_ids: Sequence[int],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.livedesk = livedesk
        self.inbox_ids = inbox_ids
        self.sleep = sleep
        self.clock = clock
        self.account: Account | None = None
        self._identifiers: list[str] = []
        self._ids: list[str] = []
        self._deletions: set[Deletion] = set()

    def run(self) -> Iterator[CheckResult]:
        """Yield the results one by one, and delete the contacts in any case."""
        try:
            yield from self._probe()
        except LiveDeskError as error:
            yield CheckResult(Level.FAILED, "live probes", f"Stopped early: {error.cause.title}.", error.cause.todo)
        finally:
            clean_up = self._clean_up()
        yield clean_up
        if self.account is not None:
            deletes = Deletion.DELETED in self._deletions
            self.account = replace(self.account, deletes=deletes)
            yield CheckResult(Level.OK, "deletions", DELETES if deletes else MARKS)

    def _probe(self) -> Iterator[CheckResult]:
        for inbox_id in self.inbox_ids:
            yield (inbox := self._inbox(inbox_id))
            if inbox.level is Level.FAILED:
                return
        first = self._contact(email=True)
        created, takes_attributes = self._create_first(first)
        yield self._echo(created)
        unique, result = self._unique(first)
        yield result
        searchable, result = self._search(first, "search")
        yield result
        yield self._other_case(first)
        searchable_bare, results = self._bare(first)
        yield from results
        yield self._same_email(first)
        yield self._bad_phone()
        attributes = AttributeProbe(self.livedesk, first, sleep=self.sleep, clock=self.clock)
        creates_attributes, result = attributes.creates(created if takes_attributes else None)
        yield result
        yield attributes.updates(created.contact_id)
        self.account = Account(unique, searchable, searchable_bare, creates_attributes)
        yield promise(self.account)

    def _inbox(self, inbox_id: int) -> CheckResult:
        try:
            self._create(Contact(self._new_identifier(), inbox_id, NAME))
        except LiveDeskError as error:
            if error.cause.signal is not Signal.INBOX:
                raise
            text = f"LiveDesk has no inbox {inbox_id}."
            if error.cause is not causes.INBOX_NOT_FOUND:
                text = f"Inbox {inbox_id} accepts no such contact: {error.cause.title}."
            return CheckResult(Level.FAILED, "inbox", text, error.cause.todo)
        return CheckResult(Level.OK, "inbox", f"Inbox {inbox_id} accepts contacts.")

    def _create_first(self, contact: Contact) -> tuple[Created, bool]:
        """Create the contact with attributes; if they are refused, without them."""
        self._identifiers.append(contact.identifier)
        try:
            created = self.livedesk.create(with_attributes(contact), with_attributes=True)
        except Rejected:
            return self._create(contact), False
        self._ids.append(created.contact_id)
        return created, True

    def _echo(self, created: Created) -> CheckResult:
        if not created.notes:
            return CheckResult(Level.OK, "identifier", "LiveDesk returns the identifier of a new contact.")
        text = "LiveDesk does not return the identifier of a new contact: it may not have stored it."
        return CheckResult(Level.WARNING, "identifier", text, "See the next results.")

    def _unique(self, first: Contact) -> tuple[bool, CheckResult]:
        """Create the same identifier again, with no other value that could be refused."""
        is_refused = self._is_refused(self._contact(first.identifier), "identifier")
        if is_refused:
            return True, CheckResult(Level.OK, "unique", "Identifiers are unique: a second create is refused.")
        text = "LiveDesk accepts a second contact with the same identifier."
        if is_refused is None:
            text = "LiveDesk refuses a second contact with the same identifier, but does not name the field."
        return False, CheckResult(Level.WARNING, "unique", text, "The workers will look up before every create.")

    def _search(self, contact: Contact, about: str) -> tuple[bool, CheckResult]:
        began = self.clock()
        try:
            self.livedesk.look_up(self._new_identifier())  # fails if LiveDesk ignores what is searched for
            while not self.livedesk.look_up(contact.identifier):
                if self.clock() - began > SEARCH_FOR_S:
                    text = f"A search does not find a new contact within {SEARCH_FOR_S:.0f} seconds."
                    return False, CheckResult(Level.WARNING, about, text, SUPPORT)
                self.sleep(SEARCH_EVERY_S)
        except Inconclusive as error:
            text = f"A search cannot show whether a contact exists: {error.cause.title}."
            return False, CheckResult(Level.WARNING, about, text, error.cause.todo)
        lag_s = self.clock() - began
        if lag_s < SEARCH_EVERY_S:
            return True, CheckResult(Level.OK, about, "A search finds a new contact at once.")
        text = f"A search finds a new contact only after {lag_s:.0f} s."
        return True, CheckResult(Level.WARNING, about, text, "Set LIVEDESK_SETTLE much higher than that.")

    def _other_case(self, first: Contact) -> CheckResult:
        """Harmless either way: workers compare identifiers themselves, exactly."""
        try:
            found = self.livedesk.find_owners("identifier", first.identifier.swapcase())
        except Inconclusive:
            found = []
        kind = "case-insensitive" if found else "case-sensitive"
        return CheckResult(Level.OK, "search", f"Searches are {kind}. Both are fine.")

    def _bare(self, first: Contact) -> tuple[bool, list[CheckResult]]:
        """Create a contact with only an identifier: the first one in swapped case."""
        results = []
        bare = self._contact(first.identifier.swapcase())
        if self._is_refused(bare, "identifier") is not False:
            text = "LiveDesk treats identifiers that differ only in upper and lower case as the same."
            todo = "If two people differ only in case, the second is a conflict: make the source send one spelling."
            results.append(CheckResult(Level.WARNING, "unique", text, todo))
            bare = self._contact()
            self._create(bare)
        is_found, result = self._search(bare, "bare search")
        return is_found, [*results, result]

    def _same_email(self, first: Contact) -> CheckResult:
        is_refused = self._is_refused(Contact(self._new_identifier(), first.inbox_id, NAME, first.email), "email")
        if is_refused is None:
            text = "LiveDesk refuses a contact without naming the field that it does not accept."
            todo = "Such contacts fail; they are not adopted, and no field is left out."
            return CheckResult(Level.WARNING, "e-mail", text, todo)
        kind = "unique" if is_refused else "not unique: several contacts can share one"
        return CheckResult(Level.OK, "e-mail", f"E-mail addresses are {kind}.")

    def _bad_phone(self) -> CheckResult:
        contact = Contact(self._new_identifier(), self.inbox_ids[0], NAME, phone_number="123")
        is_refused = self._is_refused(contact, "phone_number") is not False
        verb = "refuses" if is_refused else "accepts"
        return CheckResult(Level.OK, "phone", f"LiveDesk {verb} invalid phone numbers. We send none.")

    def _is_refused(self, contact: Contact, field: str) -> bool | None:
        """Whether LiveDesk refuses this field; ``None``: it refuses without naming it."""
        try:
            self._create(contact)
        except Rejected as refusal:
            return True if field in refusal.fields else None
        return False

    def _create(self, contact: Contact) -> Created:
        self._identifiers.append(contact.identifier)
        created = self.livedesk.create(contact)
        self._ids.append(created.contact_id)
        return created

    def _contact(self, identifier: str = "", *, email: bool = False) -> Contact:
        identifier = identifier or self._new_identifier()
        address = f"{identifier}@example.com" if email else None
        return Contact(identifier, self.inbox_ids[0], NAME, address)

    def _new_identifier(self) -> str:
        return f"livedesk-sync-doctor-{secrets.token_hex(8)}"

    def _clean_up(self) -> CheckResult:
        """Delete what was created; if an answer was lost, what a search finds of it."""
        ids = dict.fromkeys(self._ids)
        try:
            for identifier in dict.fromkeys(self._identifiers):
                ids.update(dict.fromkeys(person.id for person in self.livedesk.look_up(identifier)))
        except LiveDeskError:
            pass  # delete the others anyway
        left = [contact_id for contact_id in ids if not self._is_deleted(contact_id)]
        if not left:
            return CheckResult(Level.OK, "clean-up", f"The {len(ids)} contacts of these probes were deleted.")
        text = f"LiveDesk did not allow us to delete the contacts of these probes: {', '.join(left)}."
        return CheckResult(Level.WARNING, "clean-up", text, f"Delete them in LiveDesk; each is named {NAME}.")

    def _is_deleted(self, contact_id: str) -> bool:
        try:
            deletion = self.livedesk.delete(contact_id)
        except LiveDeskError:
            return False
        self._deletions.add(deletion)
        return deletion is Deletion.DELETED


def promise(account: Account) -> CheckResult:
    """Return what these results mean for the promise: each person once, none lost."""
    if not account.searchable:
        text = (
            "After a lost answer, nothing shows whether the contact exists: it becomes a conflict, never two contacts."
        )
        if account.unique:
            todo = "Check the conflicts with the cause cannot_be_looked_up."
            return CheckResult(Level.WARNING, "promise", text, todo)
        text = f"{text} People whom its widget or an agent has already added get a second contact."
        return CheckResult(Level.FAILED, "promise", text, SUPPORT)
    if not account.unique:
        text = "Each person becomes one contact, unless LiveDesk's widget or an agent creates one at the same moment."
        return CheckResult(Level.WARNING, "promise", text, "Compare with LiveDesk from time to time: flask reconcile.")
    if not account.searchable_bare:
        text = "After a lost answer, a contact without e-mail address and phone number becomes a conflict, never two."
        return CheckResult(Level.WARNING, "promise", text, "Make the sources send an e-mail address or phone number.")
    return CheckResult(Level.OK, "promise", "Each person becomes one contact, even if requests or answers are lost.")
