"""The walk over the whole keyspace: what must hold at any instant (design section 4, I2 and I3, and how keys are
named)."""

from typing import Any

import redis

from worker import keys
from worker.model import State
from worker.store import QUEUE_BOUNDS

FIXED_KEYS = {
    *(keys.DUE, keys.QUEUE, keys.CAUSES, keys.SALT, keys.WORKERS, keys.QUARANTINE, keys.SECRETS, keys.MARK),
    *(keys.state(state) for state in State),
}
#: Written by kombu, beside ours.
KOMBU_PREFIX = f"{keys.PREFIX}_kombu."
RECORD_PREFIX = keys.contact("")
QUARANTINE_PREFIX = keys.quarantined("")


def assert_invariants(client: redis.Redis) -> None:
    """Fails with the key and what is wrong with it. Nobody may write meanwhile."""
    store: Any = client  # redis-py's types allow for bytes, which this client never gives
    names = set(store.scan_iter(count=1000))
    ours = (RECORD_PREFIX, KOMBU_PREFIX, QUARANTINE_PREFIX)
    strangers = {name for name in names if not name.startswith(ours)} - FIXED_KEYS
    assert not strangers, f"keys that nobody named: {strangers}"

    records = {name.removeprefix(RECORD_PREFIX) for name in names if name.startswith(RECORD_PREFIX)}
    due = dict(store.zrange(keys.DUE, 0, -1, withscores=True))
    indexed = {state: set(store.zrange(keys.state(state), 0, -1)) for state in State}
    salt = (store.get(keys.SALT) or "").encode()

    held = {name.removeprefix(QUARANTINE_PREFIX) for name in names if name.startswith(QUARANTINE_PREFIX)}
    assert held == set(store.zrange(keys.QUARANTINE, 0, -1)), "the quarantine's index and its entries differ"

    members = [key for index in indexed.values() for key in index]
    assert len(members) == len(set(members)), "a contact is in two state indexes"
    assert set(members) == records, "the state indexes and the records name different contacts"
    assert set(due) <= records, "due names a contact that has no record"
    assert store.llen(keys.QUEUE) <= max(QUEUE_BOUNDS), "the queue is longer than its bound"
    for key in records:
        _assert_record(key, store.hgetall(keys.contact(key)), indexed, due, salt)


def _assert_record(
    key: str, fields: dict[str, str], indexed: dict[State, set[str]], due: dict[str, float], salt: bytes
) -> None:
    state = State(fields["state"])
    assert key in indexed[state], f"{key}: {state} by its record, but not in that index"
    assert keys.contact_key(fields["identifier"], salt) == key, f"{key}: not the key of its identifier"
    assert (key in due) == state.is_open, f"{key}: {state}, and in due: {key in due}"

    has_lease = "token" in fields and "lease_until" in fields
    assert has_lease == (state is State.SENDING), f"{key}: {state}, and has a lease: {has_lease}"
    if has_lease:
        assert due[key] % keys.LANE >= int(fields["lease_until"]), f"{key}: due before its lease runs out"
    assert ("next_attempt_at" in fields) <= (state in (State.RETRYING, State.PENDING)), (
        f"{key}: a time for a next attempt"
    )
    assert ("contact_id" in fields) == (state is State.CREATED), f"{key}: {state}, contact id: {'contact_id' in fields}"
    assert ("data" in fields) == (state is not State.CREATED), f"{key}: {state}, personal data: {'data' in fields}"
    if state in (State.CONFLICT, State.FAILED):
        assert fields["cause"], f"{key}: {state} without a cause"
