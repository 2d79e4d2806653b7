"""One run: warm up, inject faults during deliveries, recover, drain, judge."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from redis import RedisError

from tests.e2e.system import OPERATOR
from tests.faults import people
from tests.faults.amid import creates_amid
from tests.faults.flush import OLD, broken_by, flush
from tests.faults.inject import KINDS, Injected, lie_in_wait
from tests.faults.judge import Evidence, Judge, recovery_s, secrets_in
from tests.faults.order import late_results
from tests.faults.outages import OTHERS_WAIT_S, Outage, busiest_second, endure, others_wait_s
from tests.faults.plan import RATE, RECEIVERS, WORKERS, Fault, Plan
from tests.faults.report import Progress, plan_text
from tests.faults.rig import LIVEDESK_AWAY_S, Rig
from tests.faults.sabotage import sabotaged
from tests.faults.sender import Parcel, Sender, Sent, wait_for
from tests.faults.watch import Use, Watch, uses
from tests.livedesk import RequestRecord
from tests.rig.parts import STAND_IN_ACCOUNT, TEST_ENV
from worker.model import State

#: People of the burst before the faults, and of the one after them; and how fast they come, each second.
BURST, BURST_RATE = 80, 80.0
#: How often a burst is repeated until every worker has had a share in it.
BURSTS = 6
#: Seconds that a burst may take to be brought to LiveDesk.
BURST_S = 60.0
#: How many deliveries the receivers let wait for Redis at once (``threads_that_may_wait`` of each, by default);
#: more are refused.
MAY_WAIT = len(RECEIVERS) * 60
#: How many others may be refused while Redis stalls for less than a sender waits, as a share.
MAX_REFUSED = 0.05
#: LiveDesk sees requests of a little more than a second in one: those that were on their way a little longer.
RATE_TOLERANCE = 1.1
#: How many contacts are requested at the same time, and how often again after 503.
ASKERS, REPEATS = 8, 5


@dataclass(slots=True)
class Result:
    """The result of a run. Times are in seconds."""

    seed: int
    folder: Path
    injected: list[Injected] = field(default_factory=list)
    not_injected: int = 0
    offered: int = 0
    tries: int = 0
    acknowledged: int = 0
    given_up: int = 0
    people: int = 0
    states: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    duplicated: int = 0
    untrue: int = 0
    overslept: int = 0
    creates: int = 0
    #: Deliveries that Redis had acknowledged when it was flushed.
    flushed: int = 0
    #: How many creates were under way when each of ``injected`` struck.
    amid: list[int] = field(default_factory=list)
    until_accepted: list[float] = field(default_factory=list)
    until_created: list[float] = field(default_factory=list)
    drain_s: float = 0.0
    took_s: float = 0.0
    outages: list[Outage] = field(default_factory=list)
    #: The most requests that LiveDesk received within a second.
    busiest_second: int = 0
    #: Answers other than 200 while Redis stalled.
    refused: int = 0
    #: The longest time for which people waited because LiveDesk's firewall blocked others.
    others_wait: list[float] = field(default_factory=list)
    outlived: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    drain_s: float = 180.0
    sabotage: str | None = None
    quiet: bool = False


def run(plan: Plan, folder: Path, options: Options) -> Result:
    """One run; logs and data stay in ``folder``."""
    python_path = sabotaged(options.sabotage, folder / "sabotage") if options.sabotage else None
    with Rig(folder, python_path=python_path, failover=plan.failover) as rig:
        return Run(plan, rig, options).run()


class Run:
    def __init__(self, plan: Plan, rig: Rig, options: Options) -> None:
        self.plan = plan
        self.rig = rig
        self.options = options
        self.result = Result(plan.seed, rig.folder)
        self.watch = Watch(rig)
        self.progress = Progress(f"seed {plan.seed}", quiet=options.quiet)
        self.sender = Sender(rig.ports, rig.secret)
        self.began = self.started = time.monotonic()

    def run(self) -> Result:
        with self.watch.looking():
            self.burst("before")
            before = uses(self.rig)
            sent = self.endure_all()
            sent += self.harm()
            self.heal()
            self.burst("after")
            self.compare(before, uses(self.rig))
        self.look_into_redis()
        self.judge(sent)
        if self.plan.flushes:
            self.flush()
        self.result.broken += [*self.watch.taken, *self.watch.ended]
        self.progress.end()
        self.result.took_s = time.monotonic() - self.began
        self.save(sent)
        return self.result

    # The run

    def endure_all(self) -> list[Sent]:
        """Go through the outages, and return their deliveries."""
        for fault in self.plan.outages:
            self.show(0.0, f", {fault.kind}")
            outage = endure(self.rig, fault, self.plan.seed, self.plan.rate, self.drain)
            self.result.outages.append(outage)
            self.result.injected.append(outage.injected)
        return [one for outage in self.result.outages for one in outage.sent]

    def harm(self) -> list[Sent]:
        """Send deliveries and inject faults, until everything has recovered."""
        seed = self.plan.seed
        self.started = time.monotonic()
        self.sender.start(
            [
                Parcel(
                    delivery.at,
                    people.identifier(seed, delivery.person),
                    people.body(seed, delivery),
                    delivery.door,
                    delivery.signed,
                    delivery.happened,
                    delivery.deletes,
                )
                for delivery in self.plan.deliveries
            ]
        )
        with ThreadPoolExecutor(len(self.plan.lanes)) as lanes:
            running = [lanes.submit(self.inject, lane) for lane in self.plan.lanes]
            while not all(lane.done() for lane in running):
                self.show(min(1.0, (time.monotonic() - self.started) / self.plan.duration))
                time.sleep(0.2)
            for lane in running:
                lane.result()
        return self.sender.sent

    def inject(self, lane: tuple[Fault, ...]) -> None:
        """Inject the faults of a lane one after the other, as long as there are deliveries."""
        for fault in lane:
            self.rig.over.wait(max(0.0, self.started + fault.at - time.monotonic()))
            lie_in_wait(self.rig, fault)
            if time.monotonic() > self.started + self.plan.duration:
                self.result.not_injected += 1
                continue
            began = time.time()
            try:
                KINDS[fault.kind](self.rig, fault)
            except RedisError:  # it is away just now
                self.result.not_injected += 1
            else:
                self.result.injected.append(Injected(fault, began, time.time()))

    def heal(self) -> None:
        """Wait until no contact is open; no faults are injected any more."""
        healed = time.monotonic()
        self.rig.find_primary()
        self.check_invariants("right after the faults")
        self.wait("the senders", lambda: self.sender.finished == len(self.sender.sent), 90.0)
        self.sender.join()
        self.drain()
        self.result.drain_s = time.monotonic() - healed
        self.check_invariants("after the drain")

    def wait(self, what: str, condition: Callable[[], bool], timeout_s: float) -> bool:
        return wait_for(condition, timeout_s, lambda: self.show(1.0, f", waiting for {what}"))

    def drain(self) -> bool:
        drained = self.wait("open contacts", self.is_drained, self.options.drain_s)
        if not drained:
            self.result.broken.append(f"contacts were open {self.options.drain_s:.0f} s after everything was healed")
        return drained

    def is_drained(self) -> bool:
        with suppress(RedisError):
            return self.rig.open_contacts() == 0
        return False

    def show(self, share: float, more: str = "") -> None:
        acknowledged = sum(sent.acknowledged is not None for sent in self.sender.sent)
        self.progress.show(
            share,
            f"{acknowledged} of {len(self.sender.sent)} acknowledged, {len(self.result.injected)} faults{more}",
        )

    def burst(self, name: str) -> None:
        """People whom nothing happens to.

        Every worker must have a share in bringing them home: before, so that each is warm; after, because one that is
        stuck would have none.
        """
        idle = set(WORKERS)
        for number in range(BURSTS):
            before = {worker: self.rig.links[f"{worker} - livedesk"].answers for worker in idle}
            sender = Sender(self.sender.doors, self.sender.secret, answer_s=10.0)
            sender.start(
                [
                    Parcel(
                        n / BURST_RATE,
                        f"{people.CANARY}-{name}-{number}-{n}",
                        people.bystander(f"{people.CANARY}-{name}-{number}-{n}"),
                        n,
                        False,
                    )
                    for n in range(BURST)
                ]
            )
            if any(sent.acknowledged is None for sent in sender.join()):
                self.result.broken.append(f"a burst {name} the faults was not taken")
            if not wait_for(self.is_drained, BURST_S):
                self.result.broken.append(f"a burst {name} the faults was not brought to LiveDesk in {BURST_S:.0f} s")
            idle -= {w for w in idle if self.rig.links[f"{w} - livedesk"].answers - before[w] > 10}
            if not idle:
                return
        self.result.broken.append(f"{', '.join(sorted(idle))} did nothing {name} the faults")

    # The verdict

    def check_invariants(self, when: str) -> None:
        """Check I2 and I3 over the whole keyspace."""
        try:
            self.rig.system.assert_sound()
        except AssertionError as error:
            self.result.broken.append(f"{when}: {str(error).partition(chr(10))[0]}")

    def compare(self, before: dict[str, Use], after: dict[str, Use]) -> None:
        """Return leaks of the processes that survived the whole run."""
        for name, use in before.items():
            if name in after and after[name].pid == use.pid:
                self.result.outlived.append(name)
                self.result.broken += [f"{name} leaks: {grown}" for grown in use.grown_by(after[name])]

    def look_into_redis(self) -> None:
        """Check I7: neither key names nor logs contain personal data or secrets."""
        names: list[Any] = list(self.rig.client.scan_iter())
        parts = self.rig.parts.values()
        logs = {f"the log of {part.name}": part.log.read_text(errors="replace") for part in parts if part.log.exists()}
        secrets = {
            "an identifier, name or address": people.CANARY,
            "a name": people.CANARY.title(),
            "the webhook secret": TEST_ENV["WEBHOOK_SECRET"].removeprefix("whsec_"),
            "the API token": TEST_ENV["API_TOKEN"],
            "LiveDesk's secret": STAND_IN_ACCOUNT["LIVEDESK_API_SECRET"],
        }
        self.result.broken += secrets_in({**logs, "a key's name": "\n".join(map(str, names))}, secrets)

    def judge(self, sent: list[Sent]) -> None:
        livedesk, result = self.rig.livedesk, self.result
        identifiers = sorted({one.parcel.identifier for one in sent})
        evidence = Evidence(
            sent=sent,
            injected=result.injected,
            requests=livedesk.requests(None),
            ledger=livedesk.ledger(),
            contacts=livedesk.contacts(),
            records=self.records(identifiers),
        )
        verdict = Judge(evidence).judge()
        result.broken += verdict.broken
        result.lost, result.duplicated = len(verdict.lost), len(verdict.duplicated)
        result.overslept, result.untrue = len(verdict.overslept), len(verdict.untrue)
        result.offered, result.tries = len(sent), sum(len(one.answers) for one in sent)
        result.acknowledged = sum(one.acknowledged is not None for one in sent)
        result.given_up = result.offered - result.acknowledged
        result.people = len({one.parcel.identifier for one in sent if one.acknowledged is not None})
        result.states = dict.fromkeys(State, 0)
        for record in evidence.records.values():
            if record is not None:
                result.states[record["state"]] += 1
        result.creates = sum(request.kind == "create" for request in evidence.requests)
        result.amid = self.amid(result.injected, evidence.requests)
        deleted = {one.parcel.identifier for one in sent if one.parcel.deletes}
        result.broken += late_results(self.worker_lines(), {self.rig.system.key(who) for who in deleted})
        self.measure(sent, [entry.time for entry in evidence.ledger])
        self.judge_outages(evidence)
        stats = livedesk.stats()
        if stats.faults:
            result.broken.append(f"the stand-in itself failed {stats.faults} times")
        self.evidence = evidence

    def worker_lines(self) -> Iterator[str]:
        for worker in self.rig.stack.workers:
            yield from worker.log.read_text(errors="replace").splitlines()

    def flush(self) -> None:
        """Flush Redis, and judge what becomes of those who are delivered around it."""
        rig, livedesk = self.rig, self.rig.livedesk
        old = [one for one in self.evidence.contacts if str(one.identifier).startswith(f"{people.CANARY}-before-")]
        flushed = flush(rig, self.plan.seed, [str(contact.identifier) for contact in old[:OLD]], self.drain)
        self.check_invariants("after the flush")
        records = self.records(flushed.identifiers)
        self.result.broken += broken_by(flushed, records, livedesk.ledger(), livedesk.contacts())
        self.result.flushed = flushed.lost
        self.result.injected.append(flushed.injected)
        self.result.amid += self.amid([flushed.injected], livedesk.requests("create"))

    def amid(self, injected: list[Injected], requests: Sequence[RequestRecord]) -> list[int]:
        opened = {name: link.opened for name, link in self.rig.links.items()}
        return creates_amid(injected, requests, opened, LIVEDESK_AWAY_S)

    def judge_outages(self, evidence: Evidence) -> None:
        """Check that there was no stampede, and that one contact's trouble was nobody else's."""
        result = self.result
        result.busiest_second = busiest_second(evidence.requests, result.injected)
        if result.busiest_second > RATE * RATE_TOLERANCE:
            result.broken.append(f"LiveDesk received {result.busiest_second} requests in a second, {RATE} were allowed")
        for stall in (outage for outage in result.outages if outage.kind == "stall"):
            result.refused += stall.refused
            too_many = max(0, round(self.plan.rate * stall.injected.fault.lasts) - MAY_WAIT)
            if stall.refused > too_many + MAX_REFUSED * len(stall.sent):
                result.broken.append(
                    f"{stall.refused} of {len(stall.sent)} deliveries were not answered 200 while Redis stalled"
                )
        waits = (others_wait_s(outage, evidence.ledger) for outage in result.outages)
        result.others_wait = [wait for wait in waits if wait is not None]
        if max(result.others_wait, default=0.0) > OTHERS_WAIT_S:
            result.broken.append(f"people waited {max(result.others_wait):.1f} s because others were blocked")

    def records(self, identifiers: list[str]) -> dict[str, dict[str, Any] | None]:
        """Return what ``GET /contacts/<identifier>`` answers for each."""
        with ThreadPoolExecutor(ASKERS) as pool, requests.Session() as session:
            session.trust_env = False

            def ask(identifier: str) -> dict[str, Any] | None:
                url = f"{self.rig.stack.url}/contacts/{quote(identifier, safe='')}"
                answer = session.get(url, headers=OPERATOR, timeout=20)
                for _ in range(REPEATS):  # a busy machine may keep Redis longer than a page waits for it
                    if answer.status_code != 503:
                        break
                    answer = session.get(url, headers=OPERATOR, timeout=20)
                if answer.status_code == 404:
                    return None
                answer.raise_for_status()
                record: dict[str, Any] = answer.json()
                return record

            return dict(zip(identifiers, pool.map(ask, identifiers), strict=True))

    def measure(self, sent: list[Sent], created: list[float]) -> None:
        """Return the seconds from each fault's end to an acceptance, and a creation."""
        accepted = sorted(one.acknowledged for one in sent if one.acknowledged is not None)
        for injected in self.result.injected:
            for found, events in ((self.result.until_accepted, accepted), (self.result.until_created, created)):
                took = recovery_s(injected.healed, events)
                if took is not None:
                    found.append(took)

    def save(self, sent: list[Sent]) -> None:
        folder = self.rig.folder
        (folder / "plan.txt").write_text(plan_text(self.plan) + "\n", encoding="utf-8")
        (folder / "broken.txt").write_text("".join(f"{line}\n" for line in self.result.broken), encoding="utf-8")
        seen: dict[str, Sequence[Any]] = {
            "injected": self.result.injected,
            "sent": sent,
            "requests": self.evidence.requests,
            "ledger": self.evidence.ledger,
            "contacts": self.evidence.contacts,
        }
        for name, rows in seen.items():
            text = "".join(json.dumps(asdict(row), ensure_ascii=False, default=str) + "\n" for row in rows)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        (folder / "records.json").write_text(json.dumps(self.evidence.records, indent=1, ensure_ascii=False))
