"""Observations of a run: leases, ended processes, and resources in use."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from redis import RedisError

from tests.faults.rig import Rig
from tests.rig.processes import Process, StartError
from worker.model import State
from worker.store import keys

#: Seconds between two looks at the leases.
LOOK_S = 0.05
#: How much more a process may use at the end than after its warm-up: threads (``WEB_THREADS``) and connections that its
#: pools may still have had to open, and what Python and malloc keep of a busy time.
MORE_THREADS, MORE_FILES, MORE_MB = 70, 110, 64.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Use:
    """The resources of a process and its children."""

    pid: int
    threads: int
    files: int
    mb: float

    def grown_by(self, later: "Use") -> list[str]:
        """Return leaks since then in sentences; none if it is another process now."""
        if later.pid != self.pid:
            return []
        limits = {"threads": MORE_THREADS, "files": MORE_FILES, "mb": MORE_MB}
        before, after = asdict(self), asdict(later)
        return [
            f"{name} {before[name]:.0f} -> {after[name]:.0f}"
            for name, more in limits.items()
            if after[name] > before[name] + more
        ]


def use_of(part: Process) -> Use | None:
    """Return the resources, or ``None`` without ``/proc`` or if the process has ended."""
    threads = files = kilobytes = 0
    for pid in _group(part.pid):
        with suppress(OSError, ValueError):
            status = dict(line.split(":", 1) for line in (pid / "status").read_text().splitlines())
            threads += int(status["Threads"])
            kilobytes += int(status["VmRSS"].split()[0])
            files += sum(1 for _ in (pid / "fd").iterdir())
    return Use(part.pid, threads, files, kilobytes / 1024) if threads else None


def _group(group: int) -> Iterator[Path]:
    for pid in PROC.glob("[0-9]*"):
        with suppress(OSError):
            after_name = (pid / "stat").read_text().rpartition(")")[2].split()
            if int(after_name[2]) == group:
                yield pid


def uses(rig: Rig) -> dict[str, Use]:
    """Return the resources by the names of receivers and workers."""
    found = {part.name: use_of(part) for part in (*rig.stack.receivers, *rig.stack.workers)}
    return {name: use for name, use in found.items() if use is not None}


class Watch:
    """Watches in a thread of its own for the block; its lists have what it saw."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        #: Leases that were taken from somebody who still had them, each a sentence.
        self.taken: list[str] = []
        #: Processes that ended by themselves, each a sentence.
        self.ended: list[str] = []
        self._leases: dict[str, tuple[int, int]] = {}
        self._client = rig.client
        self._stopping = threading.Event()

    @contextmanager
    def looking(self) -> Iterator[None]:
        threads = [threading.Thread(target=work, daemon=True) for work in (self._watch_leases, self._watch_processes)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def _watch_leases(self) -> None:
        while not self._stopping.wait(LOOK_S):
            with suppress(RedisError):
                self._look_at_leases()

    def _look_at_leases(self) -> None:
        """Check I3.

        ``crashes`` is counted whenever a contact is claimed from somebody who has not finished: that may happen only
        once the lease has run out that was seen before.
        """
        client = self.rig.client
        if client is not self._client:  # after a failover: the new primary need not know every lease of the old one
            self._client, self._leases = client, {}
        contacts: Any = client.zrange(keys.state(State.SENDING), 0, -1)
        seconds, micros = client.time()
        with client.pipeline(transaction=False) as pipe:
            for key in contacts:
                pipe.hmget(keys.contact(key), "lease_until", "crashes")
            rows = pipe.execute()
        now, seen = int(seconds) * 1000 + int(micros) // 1000, {}
        for key, (lease_until, crashes) in zip(contacts, rows, strict=True):
            if lease_until is None:
                continue
            seen[key] = int(lease_until), int(crashes or 0)
            before = self._leases.get(key)
            # ``now`` was asked for before the rows: a new lease may be read late, never early.
            if before is not None and seen[key][1] > before[1] and now + LATE_MS < before[0]:
                self.taken.append(f"{key}: claimed {before[0] - now} ms before its lease ran out")
        self._leases = seen

    def _watch_processes(self) -> None:
        while not self._stopping.wait(0.2):
            try:
                for name, code in self.rig.start_what_ended().items():
                    self.ended.append(f"{name} ended by itself with exit code {code} at {time.strftime('%H:%M:%S')}")
            except StartError as error:
                self.ended.append(str(error).partition("\n")[0])


#: A pipeline may be answered so much later than the time was, in ms.
LATE_MS = 1000
