"""A system with an hour of history, with LiveDesk ``down`` or not.

The store itself writes everything, with its clock set back. Neither a worker nor LiveDesk is needed.
"""

from secrets import token_hex

import redis

from tests.world import make_store
from webhook_app.access import Access
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source
from worker.actions import BulkAction
from worker.model import (
    Attempt,
    AttemptResult,
    Contact,
    Note,
    Origin,
    Outcome,
    Quarantined,
    Signal,
    State,
    Unanswered,
    UpstreamPolicy,
    Way,
)
from worker.store.lists import Filter
from worker.store.store import Store

MINUTE_MS = 60_000
#: What a sender or LiveDesk may send.
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"{{ 7*7 }}"
CREATED = AttemptResult(state=State.CREATED, contact_id="7001", outcome=Outcome.CREATED, status=200, signal=Signal.OK)
PASSWORD = "the-operator-of-the-tests"
SOURCE = {"verify": "token", "secrets": ["a-secret-of-the-tests", "another-secret-of-the-tests"], "inbox_id": 1}


def build(client: redis.Redis) -> Parts:
    """Return parts with the sources ``signup`` and ``shop``."""
    store = make_store(client, policy=UpstreamPolicy(10, inbox_id=1))
    mapped = {"identifier": "$.id", "email": "$.email"}
    sources = {name: read_source(name, {**SOURCE, "map": mapped}, {}) for name in ("signup", "shop")}
    access = Access(operator_password=PASSWORD, viewer_password="the-viewer-of-the-tests")
    return Parts(store=store, sources=sources, access=access)


def fill(store: Store, *, down: bool = True) -> None:
    """Add an hour of history.

    Signups, contacts in every state, an unknown inbox, a quarantine, an operation and an audit log.

    ``down``: LiveDesk went down six minutes ago, and some contacts wait.
    """
    for ago in range(58, 0, -1):
        at(store, ago)
        _minute(store, ago, is_down=down and ago <= 6)
    at(store, 0)
    _people(store)
    if down:
        _probes(store)
    _besides(store)
    store.queue.sweep("worker-1.example")
    store.shift_ms = -3 * MINUTE_MS
    store.queue.sweep("worker-2.example")
    store.shift_ms = 0


def at(store: Store, minutes_ago: float) -> None:
    store.shift_ms = round(-minutes_ago * MINUTE_MS)


def bring(store: Store, contact: Contact, *verdicts: AttemptResult, source: str = "signup") -> str:
    """Add a signup, and an attempt for each result. Return its key."""
    key = store.key_of(contact.identifier)
    store.contacts.accept(contact, Origin(source))
    for verdict in verdicts:
        store.contacts.retry_now(store.key_of(contact.identifier))
        claim = store.contacts.claim(key, token_hex(8), sends=False)
        assert claim is not None
        took = 180 + len(contact.identifier) * 7
        attempt = Attempt(claim.now, took, verdict.status, verdict.cause, verdict.excerpt)
        assert store.contacts.finish(claim, verdict, attempt).written
    return key


def person(name: str, **fields: object) -> Contact:
    return Contact(identifier=name, name=name.title(), email=f"{name}@example.com", **{"inbox_id": 1, **fields})  # type: ignore[arg-type]


def retrying(
    cause: str, signal: Signal, status: int | None = None, excerpt: str = "", **fields: object
) -> AttemptResult:
    return AttemptResult(
        state=State.RETRYING,
        cause=cause,
        delay_ms=61 * MINUTE_MS,
        failures=1,
        repeats=1,
        status=status,
        excerpt=excerpt,
        signal=signal,
        **fields,  # type: ignore[arg-type]
    )


def closed(state: State, cause: str, excerpt: str = "", owner_id: str | None = None) -> AttemptResult:
    return AttemptResult(state=state, cause=cause, status=422, excerpt=excerpt, owner_id=owner_id)


def _minute(store: Store, ago: int, *, is_down: bool) -> None:
    for number in range(2 + ago * 7 % 5):
        contact = person(f"user-{ago}-{number}")
        if is_down:
            bring(store, contact, retrying("http_503", Signal.ERROR, 503, "Service Unavailable"))
        else:
            bring(store, contact, CREATED)
    if ago % 9 == 0:
        bring(store, person(f"throttled-{ago}"), retrying("throttled", Signal.NOTHING, 429))


def _probes(store: Store) -> None:
    """Add failed probes; the next one is due in about two minutes."""
    for ago in (4.5, 3.5, 2.5, 1.5, 0.1):
        at(store, ago)
        store.contacts.retry_now(store.key_of("user-6-0"))
        claim = store.contacts.claim(store.key_of("user-6-0"), token_hex(8))
        assert claim is not None
        failed = retrying("http_503", Signal.ERROR, 503, "Service Unavailable")
        store.contacts.finish(claim, failed, Attempt(claim.now, 212, 503, failed.cause))
    at(store, 0)


def _people(store: Store) -> None:
    """Add at least one contact in every state, and for each kind of cause."""
    for number in range(12):
        at(store, 50 - number * 4)
        refused = closed(State.FAILED, "email_refused", "E-mail is invalid")
        bring(store, person(f"refused-{number}"), refused, source="shop")
    for number in range(3):
        taken = closed(State.CONFLICT, "email_taken", "Email has already been taken", owner_id="4711")
        bring(store, person(f"taken-{number}", phone_number="+4930123456"), taken)
    bring(store, person("unknown-one"), retrying("answer_timeout", Signal.NOTHING, unanswered=Unanswered.NOW))
    bring(store, Contact(HOSTILE, 1, HOSTILE, "eve@example.com"), closed(State.FAILED, "name_refused", HOSTILE))
    bring(store, person("held-one", inbox_id=99), retrying("inbox_not_found", Signal.INBOX, 404))
    bring(store, person("put-aside"))
    store.contacts.discard(store.key_of("put-aside"))
    noted = Note("phone_number", "left out: not a phone number")
    store.contacts.accept(person("waiting-one"), Origin("shop"), (noted,))
    at(store, 0)
    sending = person("sending-one")
    store.contacts.accept(sending, Origin("signup"))
    assert store.contacts.claim(store.key_of(sending.identifier), token_hex(8), sends=False)


def _besides(store: Store) -> None:
    for number in range(3):
        payload = f'{{"uid": {number}, "profile": {{"email": "ann-{number}@example.com"}}, "<b>key</b>": "{number}"}}'
        problems = {"identifier": "missing"} if number else {"identifier": HOSTILE}
        store.quarantine.add(Quarantined(source="shop", payload=payload, problems=problems, headers={}))
    store.secret_uses.mark("signup", "secret")
    store.counters.write(
        {"delivery:signup:accepted": 214, "delivery:signup:duplicate": 9, "delivery:shop:accepted": 61}
    )
    store.counters.write({"delivery:shop:quarantined": 3, "delivery:old-shop:accepted": 12})
    store.counters.write({"refused:signup:unauthentic": 31, "refused:signup:too_large": 2, "refused::no_source": 1})
    parts = Parts(store=store, sources={})
    retried = Filter(cause="email_refused")
    parts.store.operations.open(
        BulkAction.RETRY, retried, who="Ada", why="The shop sends whole addresses now", total=12
    )
    store.audit.add("Ada", "retried a contact", store.key_of("refused-1"), "fixed at the shop", way=Way.PASSWORD)
    store.audit.add(HOSTILE, "paused the sync", "", HOSTILE, way=Way.PASSWORD)
    store.audit.add("Grace", "resumed the sync", way=Way.PASSWORD)
