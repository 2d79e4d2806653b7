"""``python -m bench dashboard``: its cost with a million contacts in Redis.

The records are laid in as the scripts would have written them. Then: the head of every page; pages of lists at any
depth, through the whole web application; "retry all" of a tenth of the contacts, and what it does to the latency of
accepting meanwhile; and what the indexes weigh.
"""

import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import redis
from flask.testing import FlaskClient

from bench.accept import CONNECTIONS, WARM_UP_S, is_answering, ours
from bench.machine import BenchError, ask, environment, load, say, valkey, wait_until
from bench.report import Measured, Row, at_most, median
from tests.rig.parts import ROOT
from tests.rig.processes import Process, free_port
from tests.world import make_store
from webhook_app.access import Access
from webhook_app.app import create_app
from webhook_app.parts import Parts
from worker.actions import BulkAction
from worker.model import Contact, State, UpstreamPolicy
from worker.store import keys, record
from worker.store.fingerprint import fingerprint
from worker.store.lists import Filter
from worker.store.store import Store

PASSWORD = "the-password-of-the-bench"
RATE = 10.0
CAUSES = ("email_refused", "name_refused", "inbox_refused", *(f"http_{422 + number}" for number in range(47)))
SOURCES = tuple(f"source-{number}" for number in range(20))
#: What every minute of the last hour has counted.
MINUTE = {"accepted": 60, "created": 60, "retrying": 6, "failed": 3, "ok": 60, "requests": 66, "look_ups": 6}
#: The processes that lay in contacts.
WRITERS = 2
READS = 100
HEADER_MS, PAGE_MS, MOVE_S, SLOWER_MOST = 1.0, 10.0, 3.0, 2.0
#: Deliveries per second while the latency of accepting is measured.
ACCEPT_RATE, ACCEPT_S = 200.0, 8.0
#: Seconds that Valkey may take to rewrite the append-only file.
REWRITE_S = 120.0


def lay_in(url: str, salt: bytes, count: int) -> dict[State, int]:
    """Write contacts over a month: a tenth failed, a tenth waiting, the rest created."""
    shares = range(0, count, count // WRITERS)
    with ProcessPoolExecutor(WRITERS, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(partial(lay_in_share, url, salt, count // WRITERS), shares))
    client, minute = ask(url), int(time.time()) // 60
    for back in range(60):
        client.hset(keys.minute(minute - back), mapping=MINUTE)  # type: ignore[arg-type, unused-ignore]
    return {state: sum(share[state] for share in made) for state in State}


def lay_in_share(url: str, salt: bytes, count: int, first: int) -> dict[State, int]:
    """Write the contacts from a number on."""
    client, now, month = ask(url), int(time.time() * 1000), 30 * 86_400_000
    chance = random.Random(first)
    made = dict.fromkeys(State, 0)
    for start in range(first, first + count, 1000):
        with client.pipeline(transaction=False) as pipe:
            for number in range(start, min(start + 1000, first + count)):
                state = (State.FAILED, State.RETRYING)[number % 10] if number % 10 < 2 else State.CREATED
                made[state] += 1
                lay_in_one(pipe, number, state, now - chance.randrange(month), salt)
            pipe.execute()
    return made


def lay_in_one(pipe: Any, number: int, state: State, at: int, secret: bytes) -> None:
    contact = Contact(
        f"user-{number:08}", 407, "Ada Lovelace", f"ada.lovelace.{number}@example.com", f"+49301{number:07}"
    )
    key = record.contact_key(contact.identifier, secret)
    fields = {
        "identifier": contact.identifier,
        "source": SOURCES[number % len(SOURCES)],
        "state": state.value,
        "received_at": at,
        "fingerprint": fingerprint(contact, secret),
        "attempts": f"[{at},183,200]",
    }
    pipe.zadd(keys.state(state), {key: at})
    finders = [record.finder("contact_id", str(2_000_000 + number), secret)]
    if state is State.CREATED:
        fields["contact_id"] = 2_000_000 + number
    else:
        cause = CAUSES[number // 10 % len(CAUSES)]
        finders = (record.dump_finders(contact, secret) or "").split()
        fields |= {"data": record.dump_data(contact), "cause": cause, "attempts_made": 3, "finders": " ".join(finders)}
        pipe.zadd(keys.cause(cause), {key: at})
        pipe.zadd(keys.CAUSES, {cause: at})
    if state is State.RETRYING:
        fields["next_attempt_at"] = at + 10**10
        pipe.zadd(keys.DUE, {key: keys.LANE + at + 10**10})
    pipe.hset(keys.contact(key), mapping={record.stored(name): value for name, value in fields.items()})
    for finder in finders:
        bucket, _, field = finder.partition(":")
        pipe.hset(keys.finders(bucket), field, key)


def ms(run: Callable[[], object], times: int = READS) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        took.append((time.perf_counter() - began) * 1000)
    return median(took)


def signed_in(store: Store) -> FlaskClient:
    parts = Parts(store=store, sources={}, access=Access(operator_password=PASSWORD))
    http = create_app(parts).test_client()
    page = http.get("/dashboard/sign-in").get_data(as_text=True)
    token = page.partition('name="csrf" value="')[2].partition('"')[0]
    http.post(
        "/dashboard/sign-in", data={"password": PASSWORD, "csrf": token}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    return http


def pages(store: Store) -> Iterator[Row]:
    """A page of a list at several depths, as the browser asks for it."""
    http = signed_in(store)
    for state in (State.CREATED, State.FAILED):
        size: Any = store.client.zcard(keys.state(state))
        for name, rank in (("1", 0), ("in the middle", size // 2), ("at the end", size - 26)):
            place: Any = store.client.zrange(keys.state(state), rank, rank, desc=True, withscores=True)
            (key, at) = place[0]
            url = f"/dashboard/contacts?state={state}" + (f"&after={at:.0f}:{key}" if rank else "")
            answer = http.get(url)
            if answer.status_code != 200 or answer.get_data(as_text=True).count("user-") < 25:
                raise BenchError(f"{url} is not the page of a list ({answer.status_code})")
            took = ms(lambda url=url: http.get(url), 30)  # type: ignore[misc]
            yield at_most(f"list of {state} contacts, page {name}, in ms", took, PAGE_MS)
    find = ms(lambda: store.lists.search("ada.lovelace.10@example.com"))
    yield at_most("look-up by e-mail address, in ms", find, PAGE_MS, "{:.2f}")


def retry_all(url: str, store: Store, failed: int) -> Iterator[Row]:
    """Moves all that have failed, while deliveries are accepted."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        port = free_port()
        web = Process(
            "receiver",
            ours(port, 1),
            log=Path(name) / "receiver.log",
            cwd=ROOT,
            env=environment(url),
            port=port,
            ready=lambda _: is_answering(port),
            stop_s=20.0,
        )
        with web:
            load(port, "warm-up", seconds=WARM_UP_S, connections=CONNECTIONS)
            usual = load(port, "usual", seconds=ACCEPT_S, connections=CONNECTIONS, rate=ACCEPT_RATE)
            took: list[float] = []
            moving = threading.Thread(target=lambda: took.append(move_all(store, failed)))
            began = threading.Timer(1.5, moving.start)
            began.start()
            meanwhile = load(port, "meanwhile", seconds=ACCEPT_S, connections=CONNECTIONS, rate=ACCEPT_RATE)
            began.join()
            moving.join()
    yield at_most(f"retry all of {failed:,}, in seconds until they are moved", took[0], MOVE_S)
    yield at_most(
        "latency (p99) of accepting meanwhile, times that before",
        meanwhile["p99"] / usual["p99"],
        SLOWER_MOST,
        detail=f"{usual['p99']:.1f} ms before, {meanwhile['p99']:.1f} ms meanwhile, at {ACCEPT_RATE:.0f} per second",
    )


def rewrite_append_only_file(client: redis.Redis) -> None:
    """Rewrite it now, so that Valkey does not while something is measured.

    It does so whenever the file has doubled; the fork alone takes 10 to 25 ms.
    """
    client.bgrewriteaof()

    def is_done() -> bool:
        state: Any = client.info("persistence")
        return not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]

    wait_until(is_done, "rewriting the append-only file", REWRITE_S)


def move_all(store: Store, failed: int) -> float:
    operations = store.operations
    began = time.perf_counter()
    operation_id = operations.open(BulkAction.RETRY, Filter(state=State.FAILED), who="bench", why="", total=failed)
    while operations.step():
        pass
    operation = operations.read(operation_id)
    if operation is None or operation.moved != failed:
        raise BenchError(f"{operation and operation.moved} of {failed} were moved")
    return time.perf_counter() - began


def weight(client: redis.Redis, count: int) -> Iterator[Row]:
    """Bytes of the indexes for each contact."""
    groups = {
        "states": [keys.state(state) for state in State],
        "due": [keys.DUE],
        "causes": [keys.cause(cause) for cause in CAUSES],
        "finders": list(client.scan_iter(keys.finders("*"), count=1000)),
    }
    for name, members in groups.items():
        total = 0
        for start in range(0, len(members), 1000):
            with client.pipeline(transaction=False) as pipe:
                for member in members[start : start + 1000]:
                    pipe.memory_usage(member, samples=0 if name == "finders" else 50)
                total += sum(size or 0 for size in pipe.execute())
        yield Row(f"index of {name}, in bytes per contact", f"{total / count:.0f}", detail=f"{total / 1e6:.0f} MB")


def measure_all(count: int) -> Measured:
    """The whole part."""
    with valkey({"maxmemory": "4gb"}) as server:
        client = ask(server.url)
        store = make_store(client, policy=UpstreamPolicy(RATE))
        say(f"dashboard: laying in {count:,} contacts")
        made = lay_in(server.url, store.salt(), count)
        found = [
            at_most(f"header of every page at {count:,} contacts, in ms", ms(store.overview.read), HEADER_MS, "{:.2f}"),
            Row(f"the {len(CAUSES)} causes of the overview, in ms", f"{ms(store.overview.causes):.2f}"),
        ]
        found += list(pages(store))
        found += list(weight(client, count))
        rewrite_append_only_file(client)
        found += list(retry_all(server.url, store, made[State.FAILED]))
    return Measured(found)
