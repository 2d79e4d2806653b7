"""What each kind of fault does.

Each function injects it, waits as long as the plan says, and ends it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.faults.plan import MISBEHAVE, Fault
from tests.faults.proxy import OK
from tests.faults.rig import REDIS_RESTS_S, Rig
from tests.faults.sender import wait_for
from tests.rig.sentinel import SERVICE, say
from worker.model import State
from worker.store import keys
from worker.store.queue import KEYS_PER_MESSAGE

#: How often a message is repeated, and how long to the next repetition, in seconds.
COPIES, REPEAT_EVERY_S = 3, 0.05
#: Messages are repeated only while the queue is shorter than this, because its bound is checked.
QUEUE_MOST = 200
#: A fault waits until so many requests to LiveDesk are under way that it meets, for so many seconds at most; one that
#: lasts longer than a lease, longer.
BUSY, BUSY_WITHIN_S, BUSY_WITHIN_LONG_S = 3, 2.0, 6.0
#: What is under way before, a search perhaps, has ended after so many seconds.
GATHER_S = 0.3
#: Meanwhile the next creates take longer, and are executed also if their client is gone by then.
LINGER: Mapping[str, Any] = {"mode": "hang_then_commit", "on": "create", "delay": 0.5, "times": 24}
#: Seconds after which a process has noticed that its clock was set.
CLOCK_SET_S = 1.1
FAIL_OVER = f"SENTINEL FAILOVER {SERVICE}"


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was injected, and when, in seconds since the epoch.

    At ``healed`` everything was ready again.
    """

    fault: Fault
    began: float
    healed: float


def lie_in_wait(rig: Rig, fault: Fault) -> None:
    """Let requests to LiveDesk gather that this fault meets: between them it would change nothing.

    Several at once are never probes. A worker that probes is spared if possible, since all others would be idle
    until its lease is over.
    """
    links = [rig.links[f"{worker} - livedesk"] for worker in fault.hits]
    within_s = BUSY_WITHIN_LONG_S if fault.kind == "oversleep" else BUSY_WITHIN_S
    if links:
        rig.livedesk.behave(**LINGER)
        rig.over.wait(GATHER_S)
        wait_for(lambda: rig.over.is_set() or sum(link.awaited for link in links) >= BUSY, within_s)


def kill(rig: Rig, fault: Fault) -> None:
    with rig.holding(fault.target) as part:
        part.kill()
        rig.over.wait(fault.lasts)
        rig.start(part)


def restart(rig: Rig, fault: Fault) -> None:
    with rig.holding(fault.target) as part:
        part.stop()
        rig.over.wait(fault.lasts)
        rig.start(part)


def lose_primary(rig: Rig, fault: Fault) -> None:
    """Stop the primary until another is promoted; then restart it as a replica.

    A paused primary still believes to be one, until a sentinel corrects it.
    """
    assert rig.cluster is not None
    cluster, old = rig.cluster, rig.cluster.primary()
    with rig.holding(next(name for name, server in rig.servers.items() if server is old)):
        if fault.kind == "kill primary":
            old.kill()
        elif fault.kind == "stop primary":
            old.pause()
        else:  # a sentinel takes the wish as soon as the failover before it is done
            wait_for(lambda: say(cluster.sentinels[0].port or 0, FAIL_OVER).startswith(b"+OK"), REDIS_RESTS_S)
        wait_for(lambda: bool(cluster.named()) and old not in cluster.named(), REDIS_RESTS_S)
        if fault.kind == "kill primary":
            old.follow(cluster.primary().port or 0)
            rig.start(old)
        elif fault.kind == "stop primary":
            old.resume()
    rig.find_primary()


def stop(rig: Rig, fault: Fault) -> None:
    """Pause with SIGSTOP, resume with SIGCONT."""
    with rig.holding(fault.target) as part:
        part.pause()
        rig.over.wait(fault.lasts)
        part.resume()


def oversleep(rig: Rig, fault: Fault) -> None:
    """Stop a worker for longer than its leases, as a suspended machine would be."""
    with rig.holding(fault.target) as part:
        part.pause()
        if fault.options["loses"]:
            rig.reset_connections(fault.target)
        rig.over.wait(fault.lasts)
        part.resume()


def disturb_links(rig: Rig, fault: Fault) -> None:
    links = rig.links_of(fault.target)
    for link in links:
        link.behave(fault.kind, fault.options.get("by_s", 0.0))
    rig.over.wait(fault.lasts)
    for link in links:
        link.behave(OK)


def clock(rig: Rig, fault: Fault) -> None:
    rig.set_clock(fault.target, fault.options["by_s"])
    rig.over.wait(fault.lasts)
    rig.set_clock(fault.target, 0)
    rig.over.wait(CLOCK_SET_S)


def lose(rig: Rig, fault: Fault) -> None:
    """Delete all messages in the queue, as when a worker dies or the broker restarts."""
    rig.client.delete(keys.QUEUE)


def repeat(rig: Rig, fault: Fault) -> None:
    """Send messages again for contacts that a worker has claimed, and one for several that are due or were claimed."""
    until = time.monotonic() + fault.lasts
    while time.monotonic() < until:
        room = rig.client.llen(keys.QUEUE) < QUEUE_MOST
        for key in rig.client.zrange(keys.state(State.SENDING), 0, -1) if room else []:
            for copy in range(COPIES):
                rig.client.lpush(
                    keys.QUEUE, rig.system.store.queue.envelope.message(str(key), f"again-{copy}-{time.time_ns()}")
                )
        several = [
            str(key)
            for state in (State.PENDING, State.RETRYING, State.SENDING)
            for key in rig.client.zrange(keys.state(state), 0, KEYS_PER_MESSAGE)
        ]
        for first in range(0, len(several) if room else 0, KEYS_PER_MESSAGE):
            text = " ".join(several[first : first + KEYS_PER_MESSAGE])
            rig.client.lpush(keys.QUEUE, rig.system.store.queue.envelope.message(text, f"several-{time.time_ns()}"))
        rig.over.wait(REPEAT_EVERY_S)


def misbehave(rig: Rig, fault: Fault) -> None:
    on = {"on": fault.target} if fault.target else {}
    rig.livedesk.behave(**on, **fault.options)
    rig.over.wait(fault.lasts)
    rig.livedesk.clear()


KINDS: dict[str, Callable[[Rig, Fault], None]] = {
    "kill": kill,
    "restart": restart,
    "deploy": restart,
    "stop": stop,
    "oversleep": oversleep,
    "kill primary": lose_primary,
    "stop primary": lose_primary,
    "failover": lose_primary,
    "cut": disturb_links,
    "delay": disturb_links,
    "reset": disturb_links,
    "silence": disturb_links,
    "clock": clock,
    "lose": lose,
    "repeat": repeat,
    MISBEHAVE: misbehave,
}
