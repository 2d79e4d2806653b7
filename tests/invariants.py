"""What is always true of the keyspace: states, leases, indexes, key names."""

import re
from collections import Counter
from typing import Any

import redis

from worker.actions import OperationState
from worker.model import Outcome, State
from worker.store import keys, record
from worker.store.queue import QUEUE_BOUNDS

FIXED_KEYS = {
    *(keys.DUE, keys.QUEUE, keys.CAUSES, keys.SALT, keys.WORKERS, keys.WORKER_REPORTS, keys.QUARANTINE),
    *(keys.UPSTREAM, keys.INBOXES, keys.INBOX_FAILING, keys.FAILING, keys.REFUSED, keys.PROBING),
    *(keys.COUNTS, keys.OPERATIONS, keys.ACTIVE_OPERATIONS, keys.AUDIT),
    *(keys.SINCE, keys.EMPTIED),
    *(keys.SECRETS, keys.ACCOUNT, keys.RECONCILE, keys.MARK, keys.CLASHES, keys.DECISIONS, keys.CHANGES),
    *(keys.FAILED_SIGN_INS, keys.SESSIONS, keys.QUARANTINE_BYTES),
    *(keys.state(state) for state in State),
}
#: Written by kombu, beside ours.
KOMBU_PREFIX = f"{keys.PREFIX}_kombu."
RECORD_PREFIX = keys.contact("")
QUARANTINE_PREFIX = keys.quarantined("")
CAUSE_PREFIX = keys.cause("")
SHARE_PREFIX = keys.share("")
FINDER_PREFIX = keys.finders("")
ALIAS_PREFIX = keys.aliases("")
WAS_PREFIX = keys.was("")
#: Keys with rules of their own, on which nothing else depends.
OTHER_PREFIXES = (
    *(keys.minute(""), keys.people(""), keys.operation(""), keys.tries(""), keys.known_address(""), keys.signed("")),
    *(WAS_PREFIX, keys.taken("")),
)


def assert_invariants(client: redis.Redis) -> None:
    """Fail with the key and what is wrong with it. Nothing may write during the check."""
    store: Any = client  # redis-py's types allow for bytes, which this client never gives
    names = set(store.scan_iter(count=1000))
    ours = (
        *(RECORD_PREFIX, KOMBU_PREFIX, QUARANTINE_PREFIX, SHARE_PREFIX, CAUSE_PREFIX, FINDER_PREFIX, ALIAS_PREFIX),
        *OTHER_PREFIXES,
    )
    strangers = {name for name in names if not name.startswith(ours)} - FIXED_KEYS
    assert not strangers, f"unknown keys: {strangers}"

    records = {name.removeprefix(RECORD_PREFIX) for name in names if name.startswith(RECORD_PREFIX)}
    due = dict(store.zrange(keys.DUE, 0, -1, withscores=True))
    indexed = {state: set(store.zrange(keys.state(state), 0, -1)) for state in State}
    salt = (store.get(keys.SALT) or "").encode()

    quarantined = {name.removeprefix(QUARANTINE_PREFIX) for name in names if name.startswith(QUARANTINE_PREFIX)}
    assert quarantined == set(store.zrange(keys.QUARANTINE, 0, -1)), "the quarantine's index and its entries differ"
    _assert_shares(store, names, quarantined)

    members = [key for index in indexed.values() for key in index]
    assert len(members) == len(set(members)), "a contact is in two state indexes"
    assert set(members) == records, "the state indexes and the records name different contacts"
    assert set(due) <= records, "due names a contact that has no record"
    assert store.llen(keys.QUEUE) <= max(QUEUE_BOUNDS), "the queue is longer than its bound"
    held_by_cause: dict[str, set[str]] = {}
    found_by: dict[str, set[str]] = {}
    linked: dict[str, dict[str, str]] = {}
    for key in records:
        fields = record.named(store.hgetall(keys.contact(key)).items())
        _assert_record(key, fields, indexed, due, salt)
        if "cause" in fields:
            held_by_cause.setdefault(fields["cause"], set()).add(key)
        if "contact_id" in fields:
            linked.setdefault(fields["contact_id"], {})[key] = fields.get("outcome", Outcome.CREATED)
        for finder in _finders(fields, salt):
            found_by.setdefault(finder, set()).add(key)

    causes = {name.removeprefix(CAUSE_PREFIX) for name in names if name.startswith(CAUSE_PREFIX)}
    by_cause = {cause: set(store.zrange(keys.cause(cause), 0, -1)) for cause in causes}
    assert by_cause == held_by_cause, "the causes and the records name different contacts"
    assert set(held_by_cause) <= set(store.zrange(keys.CAUSES, 0, -1)), "a cause that is not listed"
    contact_finders = {record.finder("contact_id", contact_id, salt) for contact_id in linked}
    for name in (name for name in names if name.startswith(FINDER_PREFIX)):
        for field, value in store.hgetall(name).items():
            leads_to = {value[at : at + 16] for at in range(0, len(value), 16)}
            finder = f"{name.removeprefix(FINDER_PREFIX)}:{field}"
            if finder in contact_finders:
                assert len(leads_to) == 1, "more than one record has a LiveDesk contact's own identifier"
                continue
            assert leads_to <= found_by.get(finder, set()), "a finder leads to a contact that has other addresses"
            assert len(leads_to) == min(8, len(found_by[finder])), "a finder leads to too few contacts"
            del found_by[finder]
    assert not found_by, "contacts that are not found by their addresses"
    _assert_aliases(store, linked, {name for name in names if name.startswith(ALIAS_PREFIX)}, salt)

    operations = {name for name in names if name.startswith(keys.operation("")) and not name.endswith(":saved")}
    active = {name for name in operations if OperationState(store.hget(name, "state")).is_active}
    assert active == {keys.operation(one) for one in store.smembers(keys.ACTIVE_OPERATIONS)}, (
        "the set of active operations and their records differ"
    )
    _assert_undoable(store, names)


def _assert_undoable(store: Any, names: set[str]) -> None:
    """What operations keep of contacts, so that they can be undone, is only of contacts that are part of one."""
    for name in (name for name in names if name.startswith(keys.operation("")) and name.endswith(":saved")):
        operation_id = name.removeprefix(keys.operation("")).removesuffix(":saved")
        for key in store.hkeys(name):
            part_of = store.hmget(keys.contact(key), "operation", "undo")
            assert operation_id in part_of, f"{key}: kept by operation {operation_id}, but part of {part_of}"
    for name in (name for name in names if name.startswith(WAS_PREFIX)):
        key = name.removeprefix(WAS_PREFIX)
        operation_id = store.hget(keys.contact(key), "undo")
        assert operation_id, f"{key}: its data is kept, but no operation can be undone for it"
        assert store.hexists(keys.saved(operation_id), key), f"{key}: its data is kept by no operation"


def _assert_aliases(store: Any, linked: dict[str, dict[str, str]], names: set[str], salt: bytes) -> None:
    """All records of one LiveDesk contact are in a set, and one of them has its identifier."""
    for contact_id, outcomes in linked.items():
        aliases = store.smembers(keys.aliases(contact_id))
        assert aliases == set(outcomes) or (not aliases and len(outcomes) == 1), f"aliases of contact {contact_id}"
        assert sum(outcome != Outcome.KNOWN for outcome in outcomes.values()) <= 1, f"two contacts are {contact_id}"
        bucket, _, field = record.finder("contact_id", contact_id, salt).partition(":")
        found = store.hget(keys.finders(bucket), field)
        assert found in outcomes or (not found and aliases), f"contact {contact_id} is not found by its id"
    assert names <= {keys.aliases(contact_id) for contact_id in linked}, "aliases of a contact that no record has"


def _finders(fields: dict[str, str], salt: bytes) -> list[str]:
    if "data" not in fields:
        return []
    contact = record.load_contact(fields["identifier"], fields["data"])
    return re.findall(r"[0-9]+:.{8}", record.dump_finders(contact, salt) or "")


def _assert_record(
    key: str, fields: dict[str, str], indexed: dict[State, set[str]], due: dict[str, float], salt: bytes
) -> None:
    state = State(fields["state"])
    assert key in indexed[state], f"{key}: {state} by its record, but not in that index"
    assert record.contact_key(fields["identifier"], salt) == key, f"{key}: not the key of its identifier"
    assert (key in due) == state.is_open, f"{key}: {state}, and in due: {key in due}"

    has_lease = "token" in fields and "lease_until" in fields
    assert has_lease == (state is State.SENDING), f"{key}: {state}, and has a lease: {has_lease}"
    if has_lease:
        assert due[key] % keys.LANE >= int(fields["lease_until"]), f"{key}: due before its lease runs out"
    assert ("next_attempt_at" in fields) <= (state in (State.RETRYING, State.PENDING)), (
        f"{key}: a time for a next attempt"
    )
    _assert_settled(key, state, fields)
    if state in (State.CONFLICT, State.FAILED):
        assert fields["cause"], f"{key}: {state} without a cause"


def _assert_settled(key: str, state: State, fields: dict[str, str]) -> None:
    """What LiveDesk knows needs no data; what it does not know yet does, unless it is a deletion."""
    is_settled, outcome = state in record.SETTLED_STATES, fields.get("outcome")
    assert ("data" in fields) <= (not is_settled), f"{key}: {state}, with personal data"
    assert ("data" in fields) >= (not is_settled and "deletes" not in fields), f"{key}: {state}, without data"
    assert not (is_settled and fields.keys() & {"sent", "deletes", "event", "finders", "opened_at"}), f"{key}: {fields}"
    if state is State.DELETED:
        assert ("contact_id" in fields) == (outcome == Outcome.MARKED), f"{key}: deleted, outcome {outcome}"
        assert "event_at" in fields, f"{key}: deleted at an unknown time"
    elif state is State.CREATED:
        assert "contact_id" in fields, f"{key}: created, without a contact id"
        assert outcome in (None, Outcome.ADOPTED, Outcome.KNOWN), f"{key}: created, outcome {outcome}"
    elif "contact_id" in fields and "deletes" not in fields:
        assert "sent" in fields, f"{key}: a change, but nobody knows of what"
    if state is not State.DELETED and "contact_id" not in fields:
        assert outcome is None, f"{key}: outcome {outcome}"


def _assert_shares(store: Any, names: set[str], quarantined: set[str]) -> None:
    """Assert that each share of the quarantine has its entries, and knows their bytes."""
    entries = [store.hmget(keys.quarantined(entry), "share", "size", "source", "clash") for entry in quarantined]
    bytes_of: Counter[str] = Counter()
    for share, size, source, clash in entries:
        assert share in (None, f"{source}:{clash}" if clash else source), "an entry is in another's share"
        if share is not None:
            bytes_of[share] += int(size)
    assert store.hgetall(keys.QUARANTINE_BYTES) == {share: str(size) for share, size in bytes_of.items()}
    assert {name.removeprefix(SHARE_PREFIX) for name in names if name.startswith(SHARE_PREFIX)} == set(bytes_of)
    listed = Counter(entry for share in bytes_of for entry in store.zrange(keys.share(share), 0, -1))
    assert set(listed.values()) <= {1}, "an entry is in two shares"
    assert listed.total() == sum(share is not None for share, *_ in entries)
