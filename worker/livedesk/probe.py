"""Live probes: what only a LiveDesk account can tell, found out with contacts that are created and deleted again.

LiveDesk's pages do not say whether identifiers are unique, or when a search finds a new contact, and both decide what
we can promise (livedesk-api 3.6). The contacts have identifiers that begin with ``livedesk-sync-doctor-``.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence

from worker import causes
from worker.errors import Inconclusive, LiveDeskError, Rejected
from worker.livedesk.answers import Created
from worker.livedesk.checks import CheckResult, Level
from worker.livedesk.client import LiveDesk
from worker.model import Account, Contact

#: Seconds for which a search is repeated until it finds a new contact, and between two.
SEARCH_FOR_S, SEARCH_EVERY_S = 10.0, 1.0
NAME = "LiveDesk Sync doctor"
SUPPORT = "Ask LiveDesk's support."


class Probe:
    """One round of probes. ``account`` is what it found out, ``None`` until ``run`` has got through.

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

    def run(self) -> Iterator[CheckResult]:
        """The findings, one after the other. Whatever happens, the contacts are deleted as far as LiveDesk lets us."""
        try:
            yield from self._probe()
        except LiveDeskError as error:
            yield CheckResult(Level.FAIL, "live probes", f"They stopped early: {error.cause.title}.", error.cause.todo)
        finally:
            left = self._clean_up()
        yield left

    def _probe(self) -> Iterator[CheckResult]:
        for inbox_id in self.inbox_ids:
            yield (inbox := self._inbox(inbox_id))
            if inbox.level is Level.FAIL:
                return
        first = self._contact(email=True)
        yield self._echo(self._create(first))
        unique, finding = self._unique(first)
        yield finding
        searchable, finding = self._search(first, "search")
        yield finding
        yield self._other_case(first)
        bare, findings = self._bare(first)
        yield from findings
        yield self._same_email(first)
        yield self._bad_phone()
        self.account = Account(unique, searchable, bare)
        yield meaning(self.account)

    def _inbox(self, inbox_id: int) -> CheckResult:
        try:
            self._create(Contact(self._new_identifier(), inbox_id, NAME))
        except LiveDeskError as error:
            if error.cause is not causes.INBOX_NOT_FOUND:
                raise
            return CheckResult(Level.FAIL, "inbox", f"LiveDesk has no inbox {inbox_id}.", error.cause.todo)
        return CheckResult(Level.OK, "inbox", f"Inbox {inbox_id} takes contacts.")

    def _echo(self, made: Created) -> CheckResult:
        if not made.notes:
            return CheckResult(Level.OK, "identifier", "LiveDesk repeats the identifier in its answer.")
        text = "LiveDesk does not repeat the identifier in its answer: it may not have kept it."
        return CheckResult(Level.WARN, "identifier", text, "The next lines tell.")

    def _unique(self, first: Contact) -> tuple[bool, CheckResult]:
        """The same identifier again, with nothing else that could stand in the way."""
        is_refused = self._is_refused(self._contact(first.identifier), "identifier")
        if is_refused:
            return True, CheckResult(Level.OK, "unique", "A second contact with the same identifier is refused.")
        text = "LiveDesk takes a second contact with the same identifier."
        if is_refused is None:
            text = "LiveDesk refuses a second contact with the same identifier, but does not say for what."
        return False, CheckResult(Level.WARN, "unique", text, "The worker will look up before every create.")

    def _search(self, contact: Contact, about: str) -> tuple[bool, CheckResult]:
        began = self.clock()
        try:
            while not self.livedesk.look_up(contact.identifier):
                if self.clock() - began > SEARCH_FOR_S:
                    text = f"A search does not find a new contact within {SEARCH_FOR_S:.0f} seconds."
                    return False, CheckResult(Level.WARN, about, text, SUPPORT)
                self.sleep(SEARCH_EVERY_S)
        except Inconclusive as error:
            text = f"A search cannot show whether a contact exists: {error.cause.title}."
            return False, CheckResult(Level.WARN, about, text, error.cause.todo)
        took = self.clock() - began
        if took < SEARCH_EVERY_S:
            return True, CheckResult(Level.OK, about, "A search finds a new contact at once.")
        text = f"A search finds a new contact only after {took:.0f} s."
        return True, CheckResult(Level.WARN, about, text, "LIVEDESK_SETTLE must be longer than that by far.")

    def _other_case(self, first: Contact) -> CheckResult:
        """Harmless either way: the worker compares identifiers itself, exactly."""
        try:
            found = self.livedesk.find_owners("identifier", first.identifier.swapcase())
        except Inconclusive:
            found = []
        heeds = "does not heed" if found else "heeds"
        return CheckResult(Level.OK, "search", f"A search {heeds} upper and lower case; that does no harm.")

    def _bare(self, first: Contact) -> tuple[bool, list[CheckResult]]:
        """A contact with nothing but an identifier, which is that of the first one in the other case."""
        findings = []
        bare = self._contact(first.identifier.swapcase())
        if self._is_refused(bare, "identifier") is not False:
            text = "To LiveDesk, identifiers that differ only in upper and lower case are the same."
            todo = "Of two such people the second ends in a conflict: let the source send one spelling."
            findings.append(CheckResult(Level.WARN, "unique", text, todo))
            bare = self._contact()
            self._create(bare)
        found, finding = self._search(bare, "bare search")
        return found, [*findings, finding]

    def _same_email(self, first: Contact) -> CheckResult:
        is_refused = self._is_refused(Contact(self._new_identifier(), first.inbox_id, NAME, first.email), "email")
        if is_refused:
            return CheckResult(Level.OK, "e-mail", "A second contact with the same e-mail address is refused.")
        if is_refused is False:
            return CheckResult(Level.OK, "e-mail", "Several contacts may have the same e-mail address.")
        text = "LiveDesk refuses a contact without naming the field that it does not like."
        return CheckResult(
            Level.WARN, "e-mail", text, "Such contacts end as failed, not as adopted or without the field."
        )

    def _bad_phone(self) -> CheckResult:
        contact = Contact(self._new_identifier(), self.inbox_ids[0], NAME, phone_number="123")
        checks = (
            "takes even phone numbers that are none"
            if self._is_refused(contact, "phone_number") is False
            else ("refuses phone numbers that are none")
        )
        return CheckResult(Level.OK, "phone", f"LiveDesk {checks}; we send none of those.")

    def _is_refused(self, contact: Contact, field: str) -> bool | None:
        """Whether LiveDesk refuses to create this contact; ``None``: it does, but does not name the field."""
        try:
            self._create(contact)
        except Rejected as refusal:
            return True if field in refusal.fields else None
        return False

    def _create(self, contact: Contact) -> Created:
        self._identifiers.append(contact.identifier)
        made = self.livedesk.create(contact)
        self._ids.append(made.contact_id)
        return made

    def _contact(self, identifier: str = "", *, email: bool = False) -> Contact:
        identifier = identifier or self._new_identifier()
        address = f"{identifier}@example.com" if email else None
        return Contact(identifier, self.inbox_ids[0], NAME, address)

    def _new_identifier(self) -> str:
        return f"livedesk-sync-doctor-{secrets.token_hex(8)}"

    def _clean_up(self) -> CheckResult:
        """Deletes what was created; where an answer was lost, what can be found of it."""
        ids = dict.fromkeys(self._ids)
        left = []
        try:
            for identifier in dict.fromkeys(self._identifiers):
                ids.update(dict.fromkeys(person.id for person in self.livedesk.look_up(identifier)))
        except LiveDeskError:
            pass  # the others are deleted all the same
        for contact_id in ids:
            try:
                is_gone = self.livedesk.delete(contact_id)
            except LiveDeskError:
                is_gone = False
            if not is_gone:
                left.append(contact_id)
        if not left:
            return CheckResult(Level.OK, "clean-up", f"The {len(ids)} contacts of these probes are deleted again.")
        text = f"LiveDesk did not let us delete the contacts of these probes: {', '.join(left)}."
        return CheckResult(Level.WARN, "clean-up", text, f"Delete them by hand; each is called {NAME}.")


def meaning(account: Account) -> CheckResult:
    """What these answers mean for what we promise: each person once, none lost."""
    if not account.searchable:
        text = "After a lost answer nobody can tell whether the contact is there: it ends in a conflict, never twice."
        if account.unique:
            return CheckResult(Level.WARN, "promise", text, "Look at conflicts with the cause cannot_be_looked_up.")
        text = f"{text} Who is in LiveDesk already, by its widget or an agent, becomes a second contact."
        return CheckResult(Level.FAIL, "promise", text, SUPPORT)
    if not account.unique:
        text = "Each person becomes one contact, unless LiveDesk's widget or an agent makes one at the same moment."
        return CheckResult(Level.WARN, "promise", text, "Compare with LiveDesk now and then: flask reconcile.")
    if not account.searchable_bare:
        text = "After a lost answer a contact without e-mail address and phone number ends in a conflict, never twice."
        return CheckResult(Level.WARN, "promise", text, "Let the sources send an address or a phone number, too.")
    return CheckResult(Level.OK, "promise", "Each person becomes one contact, whatever is lost on the way.")
