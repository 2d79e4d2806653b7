"""The plan of a run: deliveries, faults and misbehaviour, from the seed alone.

Times are seconds after the start of the run. The faults of one lane follow one another; lanes overlap.
"""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.test_misbehaviour import HARMLESS, REFUSALS, UNKNOWN, USELESS_LOOK_UPS
from tests.livedesk import MODES

RECEIVERS = ("receiver 1", "receiver 2", "receiver 3")
WORKERS = ("worker 1", "worker 2", "worker 3")
#: Whose clocks are set wrong. Only these run with the library for that, because it takes four times the CPU.
CLOCKED = (RECEIVERS[-1], WORKERS[-1])
REDIS = "redis"
#: Links by who uses them: one to LiveDesk for each worker, one to Redis for everybody.
LIVEDESK_LINKS = tuple(f"{worker} - livedesk" for worker in WORKERS)
REDIS_LINKS = tuple(f"{part} - redis" for part in (*RECEIVERS, *WORKERS))
ALL_LIVEDESK, ALL_REDIS = "livedesk", REDIS

#: ``LIVEDESK_SETTLE`` of a run, in seconds: so long that retries come before it is over, and show whether it is kept.
SETTLE_S = 4.0
#: ``LIVEDESK_RATE`` of a run, in requests a second: more than is delivered, and less than two cores can do.
RATE = 200
#: Misbehaviours that an update would take for a final answer: the contact is gone, or cannot be changed, or LiveDesk
#: says that it has changed it, and has not.
REFUSES_CHANGES = {"not_found", "method_not_allowed", "attributes_not_stored", "attributes_not_merged"}
#: LiveDesk's own faults.
MISBEHAVE = "misbehave"
#: Process faults and who can suffer them.
PROCESS_FAULTS = (
    ("kill", RECEIVERS),
    ("kill", WORKERS),
    ("kill", (REDIS,)),
    ("stop", RECEIVERS),
    ("stop", WORKERS),
    ("stop", (REDIS,)),
    ("restart", (REDIS,)),
    ("deploy", RECEIVERS),
    ("deploy", WORKERS),
)
#: Where Redis is a primary, a replica and three sentinels: how the primary is lost. It comes back as a replica.
FAILOVERS = tuple((kind, (REDIS,)) for kind in ("kill primary", "stop primary", "failover"))
#: Faults of links, clocks and messages.
OTHER_FAULTS = (
    *((kind, (*LIVEDESK_LINKS, ALL_LIVEDESK)) for kind in ("cut", "delay", "reset", "silence")),
    *((kind, (*REDIS_LINKS, ALL_REDIS)) for kind in ("cut", "delay", "reset", "silence")),
    ("clock", CLOCKED[:1]),
    ("clock", CLOCKED[1:]),
    ("lose", ("messages",)),
    ("repeat", ("messages",)),
    ("repeat", ("messages",)),
)
#: Long faults, each of them alone, with its recovery; from and to how many seconds.
OUTAGES: Mapping[str, tuple[str, tuple[float, float]]] = {
    "down": (ALL_LIVEDESK, (15.0, 20.0)),
    "unpaid": (ALL_LIVEDESK, (4.0, 6.0)),
    "firewall": (ALL_LIVEDESK, (4.0, 6.0)),
    "refuse": (ALL_LIVEDESK, (3.0, 5.0)),
    "stall": (REDIS, (1.5, 5.0)),
}
#: Seconds of deliveries before an outage.
LEAD_S = 1.0
#: What interrupts an attempt: a worker, its link to LiveDesk, or Redis, which takes in what LiveDesk answered.
INTERRUPTS = {
    *("kill", "stop", "oversleep", "restart", "cut", "reset", "silence", "refuse", "stall", "flush"),
    *("kill primary", "stop primary", "failover"),
}
OF_REDIS = {REDIS, *REDIS_LINKS, ALL_REDIS}
#: Seconds that a fault lasts, from and to. A deploy lasts as long as it takes.
LASTS: Mapping[str, tuple[float, float]] = {
    "kill": (0.2, 1.5),
    "stop": (0.5, 3.0),
    "restart": (0.1, 1.0),
    # As long as it takes, which is about so long: until the other one is the primary, and is followed.
    "kill primary": (5.0, 8.0),
    "stop primary": (14.0, 17.0),
    "failover": (12.0, 15.0),
    "deploy": (0.0, 0.0),
    "cut": (0.3, 2.0),
    "delay": (0.5, 2.0),
    "reset": (0.3, 1.5),
    "silence": (0.5, 3.0),
    "clock": (2.0, 4.0),
    "lose": (0.0, 0.0),
    "repeat": (1.0, 2.0),
}
#: Seconds between two faults of a lane.
GAP_S = (0.3, 1.2)
#: Seconds by which a clock is set wrong: leap seconds, time zones, a date.
CLOCK_STEPS_S = (-30 * 86_400, -3600, -45, -2, 2, 45, 3600, 30 * 86_400)
#: Seconds by which a link delays each piece of data. More than the settle time would be a request that comes when
#: nobody expects it any more.
DELAYS_S = (0.02, 0.3)
#: How long a worker is sometimes paused, in seconds: longer than its leases; and how often.
OVERSLEEPS_S = (20.0, 23.0)
#: The same in a plan that takes fewer than ``SHORT_S`` seconds, which is not worth so long a wait.
SHORT_OVERSLEEPS_S, SHORT_S = (17.5, 18.5), 20.0
OVERSLEEP_EVERY_S = 30.0
#: Deliveries that repeat one, by what they bring: the newest event, a new one, or once more an older one.
REPEAT_SAME, REPEAT_CHANGED = 0.5, 0.35
#: Share of the new events that delete the person, and of those that happen at the same time as the one before.
DELETED, SAME_TIME = 0.2, 0.2
#: One person in this number is deleted after the signup and never comes back; the signup is repeated without its time.
BURIED = 25
#: How much of its time LiveDesk misbehaves; between two misbehaviours it is well, so that attempts are under way.
BAD_SHARE = 0.5
#: Share of the deliveries that are signed, and so go stale when a clock is wrong; the others carry the secret.
SIGNED = 0.3


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery of an event of a person, first to receiver ``door``.

    Every event is a ``version`` of the person; it ``happened`` at this second of the source's time. ``timeless``: the
    delivery does not mention that time.
    """

    at: float
    person: int
    version: int
    door: int
    signed: bool
    happened: int = 0
    deletes: bool = False
    timeless: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and its options.

    ``by_s`` is of a clock or a delay; the options of ``misbehave`` make a rule of the stand-in, whose ``target`` is the
    kind of requests.
    """

    at: float
    lasts: float
    kind: str
    target: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sort(self) -> str:
        """The target: ``receiver``, ``worker``, ``redis``, ``livedesk`` or ``messages``."""
        if self.kind == MISBEHAVE:
            return "livedesk"
        return self.target.rpartition(" - ")[2].rstrip(" 0123456789")

    @property
    def hits(self) -> tuple[str, ...]:
        """The workers whose requests to LiveDesk this fault interrupts."""
        if self.kind not in INTERRUPTS:
            return ()
        if self.target in (ALL_LIVEDESK, ALL_REDIS):
            return WORKERS
        return tuple(worker for worker in WORKERS if self.target.startswith(worker))


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    rate: float
    duration: float
    people: int
    deliveries: tuple[Delivery, ...]
    lanes: tuple[tuple[Fault, ...], ...]
    #: Whether Redis is a primary, a replica and three sentinels, and fails over.
    failover: bool = False
    #: Long faults before the others, one at a time.
    outages: tuple[Fault, ...] = ()

    @property
    def flushes(self) -> bool:
        """Whether Redis is flushed after everything else."""
        return bool(self.outages) and not self.failover

    @property
    def faults(self) -> list[Fault]:
        """All faults but the outages, in the order of their times."""
        return sorted((fault for lane in self.lanes for fault in lane), key=lambda fault: fault.at)


def make_plan(
    seed: int, deliveries: int, people: int, rate: float, *, failover: bool = False, outages: int = 0
) -> Plan:
    """Return the plan of this seed: ``deliveries`` of ``people``, ``rate`` per second.

    ``failover``: Redis loses its primary, again and again, and suffers nothing else. ``outages``: so many long faults
    come first, whose deliveries are not among these.
    """
    dice = random.Random(seed)
    duration = deliveries / rate
    sleepers = tuple(oversleeps(dice, duration))
    processes, others = (
        tuple((kind, targets) for kind, targets in kinds if not (failover and set(targets) & OF_REDIS))
        for kinds in (PROCESS_FAULTS, OTHER_FAULTS)
    )
    lanes = [
        tuple(lane(dice, processes, duration, sleepers, spares_first=seed % 2 == 0)),
        tuple(lane(dice, others, duration, (), spares_first=False)),
        sleepers,
        tuple(misbehaviours(dice, duration)),
    ]
    if failover:
        lanes.append(tuple(lane(dice, FAILOVERS, duration, (), spares_first=False)))
    parcels = tuple(delivered(dice, deliveries, people, rate))
    return Plan(
        seed, rate, duration, people, parcels, tuple(lanes), failover, outages_of(seed, outages, failover=failover)
    )


def outages_of(seed: int, number: int, *, failover: bool) -> tuple[Fault, ...]:
    """Return the next ones of the list with each seed, so that a few seeds have them all."""
    kinds = [kind for kind, (target, _) in OUTAGES.items() if not (failover and target == REDIS)]
    dice = random.Random(f"outages {seed}")
    chosen = [kinds[(seed * number + nth) % len(kinds)] for nth in range(number)]
    return tuple(Fault(0.0, dice.uniform(*OUTAGES[kind][1]), kind, OUTAGES[kind][0]) for kind in chosen)


def delivered(dice: random.Random, deliveries: int, people: int, rate: float) -> list[Delivery]:
    """Return deliveries for everybody at least once; the others repeat earlier people."""
    order = [*range(people), *(dice.randrange(people) for _ in range(deliveries - people))]
    dice.shuffle(order)
    lives: dict[int, list[Happened]] = {}
    made = []
    for number, person in enumerate(order):
        life = lives.setdefault(person, [])
        event = last_event(life) if is_buried(person) else next_event(dice, life)
        door, signed = dice.randrange(len(RECEIVERS)), dice.random() < SIGNED
        timeless = is_buried(person) and event is life[0] and len(life) > 1
        made.append(Delivery(number / rate, person, event.version, door, signed, event.at, event.deletes, timeless))
    return made


def is_buried(person: int) -> bool:
    """Return whether the person is deleted for good, whatever is repeated later."""
    return person % BURIED == BURIED // 2 - 2


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a person: a version, its time at the source, and whether it deletes."""

    version: int = 0
    at: int = 0
    deletes: bool = False


def last_event(life: list[Happened]) -> Happened:
    """Return the next event of a person who is buried: signup, deletion, signup again.

    LiveDesk's contact never differs from that signup, in whatever order the three arrive.
    """
    if len(life) < 2:
        life.append(Happened(len(life), len(life), deletes=bool(life)))
        return life[-1]
    return life[0]


def next_event(dice: random.Random, life: list[Happened]) -> Happened:
    """Return the event of the next delivery, and add it to ``life`` if it is new.

    A deletion happens at a time of its own: which of two events of one time is the newer one, nobody knows.
    """
    if not life:
        life.append(Happened())
        return life[0]
    chance = dice.random()
    if chance < REPEAT_SAME:
        return life[-1]
    if chance > REPEAT_SAME + REPEAT_CHANGED:
        return dice.choice(life)
    last = life[-1]
    deletes = not last.deletes and dice.random() < DELETED
    at = last.at if not (last.deletes or deletes) and dice.random() < SAME_TIME else last.at + 1
    life.append(Happened(last.version + 1, at, deletes))
    return life[-1]


def lane(
    dice: random.Random,
    kinds: tuple[tuple[str, tuple[str, ...]], ...],
    duration: float,
    sleepers: tuple[Fault, ...],
    *,
    spares_first: bool,
) -> list[Fault]:
    """Return consecutive faults until the time is up; kinds repeat only after all ran.

    ``spares_first``: the first receiver and worker are neither killed nor restarted, so that a leak would show.
    Nothing is done to a worker that oversleeps.
    """
    made: list[Fault] = []
    bag: deque[tuple[str, tuple[str, ...]]] = deque()
    at = dice.uniform(*GAP_S)
    while at < duration:
        if not bag:
            bag.extend(dice.sample(kinds, len(kinds)))
        kind, targets = bag.popleft()
        lasts = min(dice.uniform(*LASTS[kind]), duration - at)
        asleep = {fault.target for fault in sleepers if fault.at - 1 < at + lasts and at < fault.at + fault.lasts + 1}
        spared = {RECEIVERS[0], WORKERS[0]} if spares_first and kind in ("kill", "deploy") else set()
        free = [target for target in targets if target not in asleep | spared]
        if free:
            made.append(Fault(at, lasts, kind, dice.choice(free), options_of(dice, kind)))
            at += lasts + dice.uniform(*GAP_S)
    return made


def options_of(dice: random.Random, kind: str) -> dict[str, float]:
    if kind == "clock":
        return {"by_s": dice.choice(CLOCK_STEPS_S)}
    if kind == "delay":
        return {"by_s": round(dice.uniform(*DELAYS_S), 3)}
    return {}


def oversleeps(dice: random.Random, duration: float) -> list[Fault]:
    """Return pauses of a worker that are longer than its leases.

    With ``loses``, which the first one always has, its connections are lost, too.
    """
    made: list[Fault] = []
    start = 0.3
    while start < duration:
        at, lasts = (
            start + dice.uniform(0, 1),
            dice.uniform(*(SHORT_OVERSLEEPS_S if duration < SHORT_S else OVERSLEEPS_S)),
        )
        made.append(Fault(at, lasts, "oversleep", dice.choice(WORKERS), {"loses": not made or dice.random() < 0.7}))
        start += OVERSLEEP_EVERY_S
    return made


def misbehaviours(dice: random.Random, duration: float) -> list[Fault]:
    """Return every misbehaviour of the stand-in, one after another, with good times between."""
    menu = sorted(MODES)
    dice.shuffle(menu)
    lasts = duration / len(menu)
    return [
        Fault(number * lasts, lasts * BAD_SHARE, MISBEHAVE, *misbehaviour(dice, mode))
        for number, mode in enumerate(menu)
    ]


def misbehaviour(dice: random.Random, mode: str) -> tuple[str, dict[str, Any]]:
    """Return the kind of requests and the options, out of those that matter to us."""
    on_create = HARMLESS.get(mode, []) + [
        options for menu in (REFUSALS, UNKNOWN) for variants in menu.get(mode, {}).values() for options in variants
    ]
    on_search = [options for variants in USELESS_LOOK_UPS.get(mode, {}).values() for options in variants]
    # An empty answer is enough for an update, so that it must not be a lie.
    on_update = [options for options in on_create if mode not in REFUSES_CHANGES and options.get("commit") is not False]
    choices = [
        (kind, options)
        for kind, menu in (("create", on_create), ("search", on_search), ("update", on_update))
        for options in menu
    ]
    on, options = dice.choice(choices) if choices else ("", {})
    chosen = {name: value for name, value in options.items() if name != "times"}
    return on, {"mode": mode, **chosen, "share": round(dice.uniform(0.3, 1.0), 2), "seed": dice.randrange(2**31)}
