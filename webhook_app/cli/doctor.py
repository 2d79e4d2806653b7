"""``flask doctor``: every hop from the settings to LiveDesk is tried in order, and the one that is broken is named."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from webhook_app.cli.output import printable
from webhook_app.present.serializers import time as rfc3339
from worker.errors import SettingsError, StoreError
from worker.livedesk.checks import CheckResult, Level, way_to
from worker.livedesk.probe import Probe

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: A worker that made no progress for longer, in ms, is not there.
WORKER_FRESH_MS = 30_000
#: Seconds that a worker may take for a message, and between two looks at whether it has it.
HAND_OVER_S, LOOK_EVERY_S = 10.0, 0.1
#: The oldest Redis that has what our scripts need. Any Valkey has it.
OLDEST_REDIS = 7
ASK = "The live probes create some contacts in LiveDesk and delete them again, as far as it lets us. Make them?"
STOPPED = {"down": "LiveDesk is down", "misconfigured": "LiveDesk does not let us in"}
NO_INBOX = "Contacts that name no inbox wait: LIVEDESK_INBOX_ID is not set for the workers."
NOT_PROBED = (
    "Not tried: the inbox, whether LiveDesk keeps identifiers unique, and whether its search finds new contacts."
)


def command(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("doctor")
    @click.option("--no-probe", is_flag=True, help="Only read: create no contacts in LiveDesk.")
    @click.option("--yes", is_flag=True, help="Make the live probes without asking.")
    def doctor(no_probe: bool, yes: bool) -> None:
        """Try every hop on the way to LiveDesk, and name the one that is broken.

        What the live probes find out about LiveDesk is kept, and the workers heed it. Without a terminal they are made
        only with --yes. Exit code: 0 nothing is broken, 1 something is.
        """
        told = [_tell(finding) for finding in _examine(parts, lambda: not no_probe and (yes or _agreed()))]
        if Level.FAIL in told:
            raise SystemExit(1)

    return doctor


def _tell(finding: CheckResult) -> Level:
    click.echo(f"{finding.level:<5} {finding.about:<12} {printable(finding.text)}")
    if finding.todo:
        click.echo(f"{'':<18} -> {finding.todo}")
    return finding.level


def _agreed() -> bool:
    return sys.stdin.isatty() and click.confirm(ASK, err=True)


def _examine(parts: "Callable[[], Parts]", may_probe: Callable[[], bool]) -> Iterator[CheckResult]:
    try:
        found = parts()
    except SettingsError as error:
        for problem in error.problems:
            yield CheckResult(Level.FAIL, "settings", problem)
        return
    yield CheckResult(Level.OK, "settings", "They are complete.")
    yield CheckResult(Level.OK, "sources", ", ".join(found.sources) or "none") if found.sources else _NO_SOURCES
    try:
        yield from _redis(found)
        yield from _worker(found)
        yield from _sync(found)
    except StoreError as error:
        todo = "Check REDIS_URL, and whether the server runs."
        yield CheckResult(Level.FAIL, "redis", f"Redis cannot be used: {error}.", todo)
    yield from _livedesk(found, may_probe)


_NO_SOURCES = CheckResult(Level.WARN, "sources", "There is none: nobody can send signups.", "Write SOURCES_FILE.")


def _redis(parts: "Parts") -> Iterator[CheckResult]:
    name, version = parts.store.server()
    if name == "Redis" and int(version.partition(".")[0]) < OLDEST_REDIS:
        yield CheckResult(
            Level.FAIL, "redis", f"This is Redis {version}.", f"Redis {OLDEST_REDIS}.0 or newer is needed."
        )
    else:
        yield CheckResult(Level.OK, "redis", f"{name} {version} can be reached.")
    health = parts.store.overview.health()
    for level, sentences in ((Level.FAIL, health.problems), (Level.WARN, health.warnings)):
        for sentence in sentences:
            yield CheckResult(level, "durable", f"{sentence}.")
    if not health.problems:
        yield CheckResult(Level.OK, "durable", "What was acknowledged survives a restart.")


def _worker(parts: "Parts") -> Iterator[CheckResult]:
    message = parts.store.queue.ping()
    yield CheckResult(Level.OK, "writable", "Redis takes writes.")
    workers = parts.store.queue.workers()
    alive = [name for name, at in workers.seen.items() if workers.now - at <= WORKER_FRESH_MS]
    if not alive:
        text = f"No worker has made progress for {WORKER_FRESH_MS // 1000} seconds."
        yield CheckResult(Level.FAIL, "worker", text, "Start bin/worker, and look at its log.")
        return
    yield CheckResult(Level.OK, "worker", f"Workers are alive on {', '.join(sorted(alive))}.")
    if message is None:
        yield CheckResult(Level.WARN, "hand-over", "The queue is full of work, so that no message was tried.")
    elif _is_taken(parts, message):
        yield CheckResult(Level.OK, "hand-over", "A worker took a message that was sent to it.")
    else:
        text = f"No worker took a message within {HAND_OVER_S:.0f} seconds."
        yield CheckResult(Level.FAIL, "hand-over", text, "Are all workers busy or stuck? Look at their logs.")


def _sync(parts: "Parts") -> Iterator[CheckResult]:
    """Whether contacts are sent to LiveDesk, or wait for something."""
    upstream = parts.store.upstream.read()
    if upstream.paused_at:
        yield CheckResult(Level.WARN, "sync", "An operator has paused it.", "The dashboard says who and why.")
    if upstream.stop:
        text = f"It is stopped: {STOPPED[upstream.stop]} ({upstream.cause}), since {rfc3339(upstream.since)}."
        yield CheckResult(
            Level.FAIL, "sync", text, "It goes on by itself when a probe gets through; see below what is wrong."
        )
    for held in upstream.inboxes:
        text = f"LiveDesk does not know inbox {held.inbox}; its contacts wait." if held.inbox else NO_INBOX
        yield CheckResult(Level.FAIL, "sync", text, "Mend the inbox, and restart the workers.")
    if upstream.state == "up" and not upstream.inboxes:
        yield CheckResult(Level.OK, "sync", "It runs.")


def _is_taken(parts: "Parts", message: str) -> bool:
    give_up_at = time.monotonic() + HAND_OVER_S
    while parts.store.queue.is_waiting(message):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _livedesk(parts: "Parts", may_probe: Callable[[], bool]) -> Iterator[CheckResult]:
    if parts.livedesk is None:
        return
    broken = False
    for finding in way_to(parts.livedesk):
        broken = broken or finding.level is Level.FAIL
        yield finding
    if broken:
        return
    own = {source.inbox_id for source in parts.sources.values()} | {parts.inbox_id}
    inbox_ids = sorted(inbox_id for inbox_id in own if inbox_id is not None)
    if not inbox_ids or not may_probe():
        yield CheckResult(Level.WARN, "live probes", NOT_PROBED, "Run flask doctor --yes.")
        return
    probes = Probe(parts.livedesk, inbox_ids)
    yield from probes.run()
    if probes.account is not None:
        yield _keep(parts, probes)


def _keep(parts: "Parts", probes: Probe) -> CheckResult:
    assert parts.livedesk is not None
    assert probes.account is not None
    try:
        parts.store.findings.save_account(parts.livedesk.account, probes.account)
    except StoreError as error:
        return CheckResult(Level.FAIL, "kept", f"What was found out cannot be kept: {error}.", "Run this again.")
    return CheckResult(Level.OK, "kept", "The workers heed what was found out, within some seconds.")
