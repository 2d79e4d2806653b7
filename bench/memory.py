"""Redis memory per contact, indexes included: the growth of ``used_memory``.

The contacts get there, and get created, through the store's own methods, from one process for each core. Redis writes
no file here: that changes how long it takes and not what it holds.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from msgspec import structs

from bench import payload
from bench.machine import BenchError, ask, say, valkey
from bench.report import Measured, Row, at_most
from bench.sync import our_contact, our_store
from worker.model import Attempt, AttemptResult, Origin, Outcome, State
from worker.store import keys, record

PENDING_MOST, CREATED_MOST = 900, 350
#: Of how many contacts one is changed.
CHANGED_EVERY = 4
QUICK = {"appendonly": "no"}


def fill(redis_url: str, part: int, parts: int, count: int) -> None:
    """Accept every ``parts``-th contact."""
    store = our_store(redis_url)
    for number in range(part, count, parts):
        store.contacts.accept(our_contact("memory", number), Origin("signup"))


def finish(redis_url: str, part: int, parts: int, count: int) -> None:
    """Claim and finish every ``parts``-th contact, with ids as large as LiveDesk's."""
    store = our_store(redis_url)
    salt = store.salt()
    for number in range(part, count, parts):
        key = record.contact_key(payload.identifier("memory", number), salt)
        claim = store.contacts.claim(key, f"{number:016x}")
        if claim is None:
            raise BenchError(f"contact {number} cannot be claimed")
        verdict = AttemptResult(
            state=State.CREATED, contact_id=str(2_000_000 + number), outcome=Outcome.CREATED, status=200
        )
        store.contacts.finish(claim, verdict, Attempt(claim.now, 183, 200))


def change(redis_url: str, part: int, parts: int, count: int) -> None:
    """Give some of every ``parts``-th contact another name, here and in LiveDesk."""
    store = our_store(redis_url)
    salt = store.salt()
    for number in range(part, count // CHANGED_EVERY, parts):
        store.contacts.accept(
            structs.replace(our_contact("memory", number), name=f"Changed {number}"), Origin("signup")
        )
        claim = store.contacts.claim(record.contact_key(payload.identifier("memory", number), salt), f"{number:016x}")
        if claim is None:
            raise BenchError(f"the change of contact {number} cannot be claimed")
        result = AttemptResult(
            state=State.CREATED,
            contact_id=str(2_000_000 + number),
            outcome=Outcome.UPDATED,
            status=200,
            changed=("name",),
        )
        store.contacts.finish(claim, result, Attempt(claim.now, 183, 200, changed=result.changed))


def used(redis_url: str) -> int:
    """Bytes that Redis uses, after the clients of the workers have gone."""
    time.sleep(1.0)
    return int(ask(redis_url).info("memory")["used_memory"])  # type: ignore[index, unused-ignore]


def check(redis_url: str, state: State, count: int) -> None:
    """Every contact must be in the state."""
    there = ask(redis_url).zcard(keys.state(state))
    if there != count:
        raise BenchError(f"{there} of {count} contacts are {state}")


def measure_all(count: int) -> Measured:
    """The whole part."""
    parts = os.cpu_count() or 1
    with valkey(QUICK) as server, ProcessPoolExecutor(parts, mp_context=get_context("spawn")) as pool:
        shares = [[server.url] * parts, range(parts), [parts] * parts, [count] * parts]
        our_store(server.url).salt()
        empty = used(server.url)
        say(f"memory: accepting {count:,} contacts")
        list(pool.map(fill, *shares))
        check(server.url, State.PENDING, count)
        pending = (used(server.url) - empty) / count
        say(f"memory: {pending:.0f} bytes each; creating them")
        ask(server.url).delete(keys.QUEUE)  # as the workers would have by then: a message is gone once it is taken
        list(pool.map(finish, *shares))
        check(server.url, State.CREATED, count)
        created = (used(server.url) - empty) / count
        say(f"memory: {created:.0f} bytes each; changing one of {CHANGED_EVERY}")
        before = used(server.url)
        list(pool.map(change, *shares))
        check(server.url, State.CREATED, count)
        ask(server.url).delete(keys.CHANGES)  # a log of ten thousand entries, whatever the number of contacts
        changed = created + (used(server.url) - before) / (count // CHANGED_EVERY)
    rows = [
        at_most(f"memory of a pending contact, at {count:,}, in bytes", pending, PENDING_MOST, "{:.0f}"),
        at_most(f"memory of a created contact, at {count:,}, in bytes", created, CREATED_MOST, "{:.0f}"),
        Row("memory of a created contact that was changed, in bytes", f"{changed:.0f}"),
    ]
    return Measured(rows, figures={"pending_bytes": pending, "created_bytes": created})
