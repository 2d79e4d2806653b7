"""The worker processes: what each is doing, in words."""

from dataclasses import dataclass

from webhook_app.present.sending import STOPPED
from webhook_app.present.wording import counted
from worker.store.queue import WorkerReport, Workers, host_and_pid
from worker.store.upstream import Upstream


@dataclass(frozen=True, slots=True)
class ListedWorker:
    """A worker process; ``report`` is missing from former versions.

    ``state`` is ``running``, or ``stale`` without a fresh heartbeat.
    """

    name: str
    host: str
    pid: int | None
    state: str
    doing: str
    seen_at: int
    report: WorkerReport | None


def list_workers(workers: Workers, upstream: Upstream | None) -> list[ListedWorker]:
    """Return all workers, by name; those without a fresh heartbeat follow the others."""
    names = sorted(workers.seen, key=lambda name: (not workers.is_alive(name), host_and_pid(name)[0], name))
    return [_listed(workers, name, upstream) for name in names]


def _listed(workers: Workers, name: str, upstream: Upstream | None) -> ListedWorker:
    report, is_alive = workers.reports.get(name), workers.is_alive(name)
    doing = _doing(report, upstream) if is_alive else "stale"
    host, pid = host_and_pid(name)
    return ListedWorker(name, host, pid, "running" if is_alive else "stale", doing, workers.seen[name], report)


def _doing(report: WorkerReport | None, upstream: Upstream | None) -> str:
    if report and report.running:
        return f"{counted(report.running, 'attempt')} running"
    if upstream and upstream.state != "up":
        return f"waiting: {STOPPED.get(upstream.state, 'the sync is paused')}"
    return "idle" if report else "running"
