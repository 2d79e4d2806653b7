"""A running system as a sender, an operator and LiveDesk's owner see it.

``System`` wraps a ``Stack`` of real processes. Nothing here reaches into a process: it is all HTTP, Redis and signals.
"""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, pairwise
from typing import Any
from urllib.parse import quote

import requests

from tests.invariants import assert_invariants
from tests.livedesk import RequestRecord, StandIn
from tests.rig.parts import TEST_ENV, Stack
from tests.world import wait_until
from worker.errors import StoreUnavailable
from worker.model import State
from worker.process.envelope import build_envelope
from worker.store import keys
from worker.store.connection import connect
from worker.store.record import stored
from worker.store.store import Store
from worker.tasks import create_contact

#: The policy of these tests: as in production, but in a hurry. ``RETRY_FOR`` has room for four failures at least.
FAST = {
    "LIVEDESK_RATE": "1000",
    "LIVEDESK_LOOK_UPS": "60000",
    "PROBE_FIRST": "100ms",
    "PROBE_LONGEST": "500ms",
    "LIVEDESK_TIMEOUT": "1s",
    "LIVEDESK_SETTLE": "1s",
    "RETRY_FIRST": "100ms",
    "RETRY_LONGEST": "1s",
    "RETRY_FOR": "3s",
    "ACCEPT_TIMEOUT": "1s",
    "METRICS_OPEN": "yes",
}
SETTLE_S = 1.0
TIMEOUT_S = 1.0
#: In addition to ``signup``, which ``WEBHOOK_SECRET`` creates: a source that also marks who was deleted, and one that
#: signs the raw body.
SOURCES = """
[sources.app]
verify = "token"
secret = "$WEBHOOK_SECRET"
on_delete = "mark"

[sources.shop]
verify = { scheme = "hmac", header = "X-Shop-Signature", encoding = "base64" }
secrets = ["$SHOP_SECRET", "$SHOP_SECRET_OLD"]
region = "DE"
contact = ["$.customer", "$"]

[sources.shop.map]
identifier = { path = "$.id", prefix = "shop-" }
email = ["$.email", "$.emails[?@.primary == true].address"]
name = { join = ["$.first_name", "$.last_name"], with = " " }
phone_number = "$.phone"

[sources.shop.only_if]
"$.event" = ["customer.created"]
"""
SHOP_SECRETS = {"SHOP_SECRET": "the-new-secret-of-the-shop", "SHOP_SECRET_OLD": "the-old-secret-of-the-shop"}
#: Seconds that something may take that ought to happen at once; far more than it does, for machines that are busy.
PATIENCE_S = 20.0
#: Seconds until a sender tries again, while the receiver does not run.
AWAY_S = 0.05
#: Clocks of two processes are compared, and a wait is rounded to ms.
TOLERANCE_S = 0.02
BEARER = {"Authorization": f"Bearer {TEST_ENV['WEBHOOK_SECRET']}"}
OPERATOR = {"Authorization": f"Bearer {TEST_ENV['API_TOKEN']}"}

#: Moves a contact's place in ``due`` to this moment, and the times that decide it by as much. It begins with a removal,
#: which a full Redis allows, and then all the rest.
MAKE_DUE = """
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due then return end
local time = redis.call('TIME')
local ahead = math.ceil(due % 1e14 - (time[1] * 1000 + math.floor(time[2] / 1000)))
if ahead <= 0 then return end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], due - ahead, ARGV[1])
for _, field in ipairs({'lease_until', 'next_attempt_at'}) do
  if redis.call('HEXISTS', KEYS[2], field) == 1 then redis.call('HINCRBY', KEYS[2], field, -ahead) end
end
"""


def call(method: str, url: str, **options: Any) -> requests.Response:
    """Send one request on a new connection, without the proxies of the environment."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=options.pop("timeout", PATIENCE_S), **options)


class System:
    """``stack`` must be running. ``close`` it when done."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.livedesk = StandIn(stack.livedesk_url)
        self.client = connect(stack.redis_url, timeout_s=5)
        #: For what an operator does, and to sweep at once rather than within a second.
        self.store = Store(self.client, build_envelope(create_contact), lease_ms=1)
        self._turn_clock = self.client.register_script(MAKE_DUE)

    def close(self) -> None:
        self.client.close()

    def begin_anew(self) -> None:
        """Empty Redis and LiveDesk. The salt stays, or all processes would report a loss."""
        self.livedesk.reset()
        with self.client.pipeline() as pipe:
            pipe.flushall()
            pipe.set(keys.SALT, self.store.salt())
            pipe.execute()

    # A sender

    def deliver(self, contact: Mapping[str, object], *, source: str = "signup", **options: Any) -> requests.Response:
        """Send a delivery with the shared secret, and return the response."""
        return call("POST", f"{self.stack.url}/webhooks/{source}", json=contact, headers=BEARER, **options)

    def report(self, event: str, at: str, **contact: object) -> dict[str, Any]:
        """Send an event of the source ``app``, and return the answer."""
        answer = self.deliver({"type": event, "timestamp": at, "data": contact}, source="app")
        assert answer.status_code == 200, answer.text
        answered: dict[str, Any] = answer.json()
        return answered

    def accept(self, identifier: str, **fields: object) -> None:
        """Send a delivery that must be accepted."""
        answer = self.deliver({"identifier": identifier, **fields})
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "accepted"

    # An operator

    def record(self, identifier: str) -> dict[str, Any]:
        """Return what ``GET /contacts/<identifier>`` answers."""
        answer = call("GET", f"{self.stack.url}/contacts/{quote(identifier, safe='')}", headers=OPERATOR)
        assert answer.status_code == 200, answer.text
        record: dict[str, Any] = answer.json()
        return record

    def state(self, identifier: str) -> str | None:
        """Return the state that Redis has, or None."""
        record = self.store.contacts.find(identifier)
        return None if record is None else str(record.state)

    def wait_for(self, identifier: str, *states: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """Return the record as soon as it is in one of the states.

        What becomes due is swept at once.
        """

        def arrived() -> dict[str, Any] | None:
            self.hurry()
            # Redis is read until then, because thousands of requests would keep the receiver busy.
            if self.state(identifier) not in states:
                return None
            last.update(self.record(identifier))
            return last if last["state"] in states else None

        last: dict[str, Any] = {}
        try:
            return wait_until(arrived, f"{identifier} is {' or '.join(states)}", timeout_s=timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {json.dumps(self.record(identifier), indent=1)}") from None

    def wait_for_attempts(self, identifier: str, number: int) -> dict[str, Any]:
        """Return the record between two attempts, after ``number`` of them."""

        def rests() -> dict[str, Any] | None:
            self.hurry()
            if self.state(identifier) != "retrying":
                return None
            record = self.record(identifier)
            return record if record["attempts_made"] >= number and record["state"] == "retrying" else None

        return wait_until(rests, f"{identifier} has had {number} attempts")

    def causes(self) -> set[str]:
        """Why attempts did not succeed, since ``begin_anew``.

        A created contact keeps its last attempt only.
        """
        causes: Any = self.client.zrange(keys.CAUSES, 0, -1)
        return set(causes)

    def log(self) -> str:
        """Return what receiver and workers have logged since each was started."""
        return "".join(part.log_text() for part in (self.stack.receiver, *self.stack.workers))

    # Time

    def key(self, identifier: str) -> str:
        return self.store.key_of(identifier)

    def hurry(self) -> bool:
        """Sweep now, rather than within a second; return whether Redis took it.

        After Redis was away, a connection is found closed by its next command.
        """
        try:
            self.store.queue.sweep()
        except StoreUnavailable:
            return False
        return True

    def make_due(self, identifier: str) -> None:
        """Make the contact due now, because leases and the grace outlast a test.

        Nobody may be at work on it: a worker does not notice that its lease ran out early.
        """
        self.client.hdel(keys.UPSTREAM, "slot", "look_up_slot")
        self._make_due(self.key(identifier))

    def _make_due(self, key: str) -> None:
        self._turn_clock(keys=[keys.DUE, keys.contact(key)], args=[key])

    def outlast_leases(self) -> None:
        """Expire every lease, as if enough time had passed.

        Attempts in progress finish first.
        """
        for worker in self.stack.workers:
            worker.stop()
        self.assert_sound()
        for key in self.client.zrange(keys.DUE, 0, -1):
            self._make_due(str(key))
        for worker in self.stack.workers:
            worker.start()

    def drain(self, *, timeout_s: float = 5 * PATIENCE_S) -> None:
        """Wait until no contact is open, but not for lost messages to be sent again."""
        wait_until(self._is_drained, "nobody is open", timeout_s=timeout_s)

    def _is_drained(self) -> bool:
        if self.client.llen(keys.QUEUE) == 0:
            waiting: Any = self.client.zrange(keys.state(State.PENDING), 0, -1)
            for key in waiting:
                self._make_due(key)
            self.hurry()
        return self.client.zcard(keys.DUE) == 0

    # What must hold

    def creates(self, identifier: str) -> list[RequestRecord]:
        """Return the create requests for this identifier that LiveDesk received, in order."""
        return [request for request in self.livedesk.requests("create") if request.identifier == identifier]

    def executed(self, identifier: str) -> list[int]:
        """Return the ids of the contacts that LiveDesk created for this identifier."""
        return [entry.contact_id for entry in self.livedesk.ledger() if entry.identifier == identifier]

    def assert_one_contact(self, identifier: str) -> None:
        """Check that LiveDesk has it once, by at most one create, and we know its id."""
        found = [contact.id for contact in self.livedesk.contacts(identifier)]
        assert found == [self.record(identifier)["contact_id"]]
        assert len(self.executed(identifier)) <= 1
        self.assert_patient(identifier)

    def known(self) -> set[str]:
        """Return the identifiers of all records in Redis."""
        names: list[Any] = list(self.client.scan_iter(keys.contact("*")))
        return {str(self.client.hget(name, stored("identifier"))) for name in names}

    def assert_everybody(self, identifiers: Iterable[str]) -> None:
        """Check I5 when no contact is open: LiveDesk has each exactly once, no others."""
        found = Counter(contact.identifier for contact in self.livedesk.contacts())
        assert found == Counter(set(identifiers))
        assert self.livedesk.stats().duplicates == 0
        assert self.client.zcard(keys.state(State.CREATED)) == len(found)
        assert None not in found
        self.assert_patient(*filter(None, found))

    def assert_patient(self, *identifiers: str) -> None:
        """Check I4: creates after a lost or useless answer.

        The next one was sent only when the settle time was over and a look-up that began after it had found nothing.
        """
        requests: dict[tuple[str, str | None], list[RequestRecord]] = defaultdict(list)
        for request in self.livedesk.requests(None):
            requests[request.kind, request.identifier].append(request)
        for identifier in identifiers:
            _assert_patient(requests["create", identifier], requests["search", identifier])

    def assert_sound(self) -> None:
        """Check the invariants, while Redis lets all writers wait."""
        self.client.client_pause(30_000, all=False)
        try:
            assert_invariants(self.client)
        finally:
            self.client.client_unpause()


def _assert_patient(creates: list[RequestRecord], searches: list[RequestRecord]) -> None:
    for earlier, later in pairwise(creates):
        assert not earlier.overlaps(later), f"two creates at once: {earlier}, {later}"
        if earlier.status is not None and 300 <= earlier.status < 500:
            continue  # LiveDesk said that it had not executed it
        ended = earlier.finished or later.received
        if earlier.ending == "client_left":  # LiveDesk notices that a little later than it was so
            ended = min(ended, earlier.received + TIMEOUT_S)
        settled = ended + SETTLE_S - TOLERANCE_S
        assert any(settled <= search.received <= later.received for search in searches), (
            f"no look-up after the settle time between {earlier} and {later}"
        )


@contextmanager
def stream_of_deliveries(system: System, *, senders: int = 4) -> Iterator[list[str]]:
    """Send deliveries of new contacts as fast as they are answered.

    Yields the acknowledged identifiers.
    """
    acknowledged: list[str] = []
    stop = threading.Event()

    def send(sender: int) -> None:
        for number in count():
            if stop.is_set():
                return
            identifier = f"streamed-{sender}-{number}"
            try:
                if system.deliver({"identifier": identifier}).status_code == 200:
                    acknowledged.append(identifier)
            except requests.ConnectionError:
                stop.wait(AWAY_S)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        for thread in threads:
            thread.join()
