"""A client for a running stand-in: its address, and its control API as methods."""

import http.client
import json
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from tests.livedesk.contact import Contact, Json, contact_of
from tests.livedesk.ledger import LedgerEntry, RequestRecord, Stats
from tests.livedesk.service import CONTACTS


class StandInError(Exception):
    """The stand-in refused a request to its control API; the text says why."""


class StandIn:
    """A running stand-in at ``base_url``, in this process or another.

    Safe to share between threads.

    Every method is one HTTP request on a connection of its own. Raises StandInError if the stand-in refuses
    it, and OSError if it cannot be reached.
    """

    def __init__(self, base_url: str, *, timeout: float = 10.0) -> None:
        self.url = base_url.rstrip("/")
        self.contacts_url = self.url + CONTACTS
        self._timeout = timeout
        self._address = urlsplit(self.url).netloc

    def behave(self, mode: str, **options: object) -> int:
        """Add a rule; the options are those of the package docstring.

        Return the rule's number.
        """
        return int(self._do("POST", "behave", {"mode": mode, **options})["id"])

    def rules(self) -> list[Json]:
        """Return the active rules in order, with the uses that each has ``left``."""
        return self._rows("behave")

    def clear(self) -> None:
        """Drop all rules: healthy from the next request on. Delayed requests stay delayed."""
        self._do("DELETE", "behave")

    def ledger(self) -> list[LedgerEntry]:
        """Return every create that was executed, in order."""
        return [LedgerEntry(**entry) for entry in self._rows("ledger")]

    def requests(self, kind: str | None = "create") -> list[RequestRecord]:
        """Return every request of one kind (``None``: of every kind), in order."""
        path = "requests" if kind is None else f"requests?kind={quote(kind)}"
        return [RequestRecord(**record) for record in self._rows(path)]

    def updates(self, contact_id: int | None = None) -> list[Json]:
        """Return the bodies of the updates that took effect, in order: of one contact, or of all."""
        done = [record for record in self.requests("update") if record.executed is not None]
        return [record.body or {} for record in done if contact_id in (None, record.contact_id)]

    def overlapping(self) -> list[tuple[RequestRecord, RequestRecord]]:
        """Return pairs of creates for one identifier that overlapped in time."""
        pending: dict[str, list[RequestRecord]] = {}
        pairs = []
        for record in self.requests("create"):
            if record.identifier is not None:
                earlier = pending.setdefault(record.identifier, [])
                pairs += [(other, record) for other in earlier if other.overlaps(record)]
                earlier.append(record)
        return pairs

    def stats(self) -> Stats:
        return Stats(**self._do("GET", "stats"))

    def contacts(self, identifier: str | None = None) -> list[Contact]:
        """Return every contact, oldest first, or those with exactly this identifier."""
        path = "contacts" if identifier is None else f"contacts?identifier={quote(identifier, safe='')}"
        return [contact_of(row) for row in self._rows(path)]

    def add_contact(self, *, unchecked: bool = False, **fields: object) -> Contact:
        """Insert a contact as the widget or an agent would.

        ``unchecked`` allows an invalid or duplicate one.
        """
        return contact_of(self._do("POST", "contacts", {**fields, "unchecked": unchecked}))

    def fill(self, count: int, *, oldest_s: float = 31_536_000, newest_s: float = 0) -> None:
        """Insert this many contacts, created one after another between so many seconds ago."""
        self._do("POST", "fill", {"count": count, "oldest_s": oldest_s, "newest_s": newest_s})

    def set_inbox(self, inbox_id: int, channel_type: str = "Channel::Api") -> None:
        """Add an inbox, or change its type."""
        self._do("POST", "inbox", {"id": inbox_id, "channel_type": channel_type})

    def merge(self, base: int, mergee: int) -> Contact:
        """Merge as an agent would, which deletes ``mergee``. Return the base."""
        return contact_of(self._do("POST", "merge", {"base": base, "mergee": mergee}))

    def delete_contact(self, contact_id: int) -> Contact:
        """Delete a contact as an agent would."""
        return contact_of(self._do("POST", "delete", {"id": contact_id}))

    def edit(self, contact_id: int, **fields: object) -> Contact:
        """Change a contact as an agent would; attributes are merged."""
        return contact_of(self._do("POST", "edit", {**fields, "id": contact_id}))

    def set_online(self, contact_id: int, online: bool = True) -> None:
        """Let a contact open the widget, or close it."""
        self._do("POST", "presence", {"id": contact_id, "online": online})

    def set_credentials(self, api_key: str, api_secret: str) -> None:
        """Make these the only valid credentials."""
        self._do("POST", "credentials", {"api_key": api_key, "api_secret": api_secret})

    def reset(self) -> None:
        """Forget everything: contacts, ledger, rules, rotated credentials.

        Delayed requests are dropped.
        """
        self._do("POST", "reset")

    def _rows(self, path: str) -> list[Json]:
        rows: list[Json] = json.loads(self._answer("GET", path))
        return rows

    def _do(self, method: str, path: str, body: Json | None = None) -> Json:
        done: Json = json.loads(self._answer(method, path, body))
        return done

    def _answer(self, method: str, path: str, body: Json | None = None) -> bytes:
        connection = http.client.HTTPConnection(self._address, timeout=self._timeout)
        try:
            connection.request(method, f"/_control/{path}", None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise StandInError(json.loads(answer)["error"])
        return answer
