"""``flask doctor``: check every hop to LiveDesk in order, and name a broken one."""

import sys
import time
from collections.abc import Callable, Iterator

import click

from webhook_app.cli.commands import cli
from webhook_app.cli.output import printable
from webhook_app.parts import Parts, current_parts
from webhook_app.present.masking import masked_text
from webhook_app.present.sending import STOPPED, as_text, asked_for, goes_when, reason_of
from webhook_app.present.wording import clashing, clear_words, counted, limit_words, people
from worker.causes import explain
from worker.durations import relative
from worker.errors import SettingsError, StoreError
from worker.livedesk.checks import CheckResult, Level, check_connection
from worker.livedesk.probe import Probe
from worker.model import Account, OnDelete
from worker.store.queue import HEARTBEAT_FRESH_MS

#: Seconds within which a worker must take a message, and between two looks at whether it has.
HAND_OVER_S, LOOK_EVERY_S = 10.0, 0.1
CONFIRM = "The live probes create a few contacts in LiveDesk and delete them again if it allows that. Run them?"
NO_INBOX = "Contacts without an inbox wait: LIVEDESK_INBOX_ID is not set for the workers."
NOT_PROBED = "Not checked: the inbox, whether identifiers are unique in LiveDesk, and whether its search is complete."
MAY_NOT = "Delete them in LiveDesk yourself, or use the key of an administrator and run flask doctor --yes."


@cli.command("doctor")
@click.option("--no-probe", is_flag=True, help="Create no contacts in LiveDesk.")
@click.option("--yes", is_flag=True, help="Run the live probes without confirmation.")
def doctor(no_probe: bool, yes: bool) -> None:
    """Find what is broken on the way to LiveDesk, hop by hop.

    The workers use what the live probes find out about LiveDesk. Without a terminal they run only with --yes. Exit
    code: 0 nothing is broken, 1 something is.
    """
    is_broken = False
    for check in _check_all(lambda: not no_probe and (yes or _is_confirmed())):
        click.echo(f"{check.level:<7} {check.about:<12} {printable(check.text)}")
        if check.todo:
            click.echo(f"{'':<20} -> {check.todo}")
        is_broken = is_broken or check.level is Level.FAILED
    if is_broken:
        raise SystemExit(1)


def _is_confirmed() -> bool:
    return sys.stdin.isatty() and click.confirm(CONFIRM, err=True)


def _check_all(may_probe: Callable[[], bool]) -> Iterator[CheckResult]:
    try:
        parts = current_parts()
    except SettingsError as error:
        yield from (CheckResult(Level.FAILED, "settings", problem) for problem in error.problems)
        return
    yield CheckResult(Level.OK, "settings", "All settings are valid.")
    try:
        names = list(parts.sources)
    except SettingsError as error:
        yield from (CheckResult(Level.FAILED, "sources", problem) for problem in error.problems)
        return
    if names:
        yield CheckResult(Level.OK, "sources", ", ".join(names))
    else:
        yield CheckResult(Level.WARNING, "sources", "No sources: nobody can send signups.", "Create SOURCES_FILE.")
    yield from _check_address(parts)
    try:
        yield from _check_redis(parts)
        yield from _check_worker(parts)
        yield from _check_sync(parts)
    except StoreError as error:
        todo = "Check REDIS_URL, and that the server is running."
        yield CheckResult(Level.FAILED, "redis", f"Redis cannot be used: {error}.", todo)
    yield from _check_livedesk(parts, may_probe)


def _check_address(parts: Parts) -> Iterator[CheckResult]:
    """Whether what depends on our own address may follow whatever a client sends."""
    if parts.public_url:
        yield CheckResult(Level.OK, "address", f"People and senders use {parts.public_url}.")
        if parts.public_url.startswith("https:") and parts.access.is_open and not parts.access.proxies:
            text = "TRUSTED_PROXIES is 0 behind a proxy: the failed sign-ins of one visitor lock out all of them."
            yield CheckResult(Level.WARNING, "address", text, "Set TRUSTED_PROXIES to the number of proxies, often 1.")
        return
    signed = [name for name, source in parts.sources.items() if source.needs_url]
    users = ["the sign-in with OIDC_ISSUER"] if parts.access.provider else []
    users += [f"the signature of {name}" for name in signed]
    if users:
        text = f"PUBLIC_URL is not set, so {' and '.join(users)} depends on the Host header that a client sends."
        yield CheckResult(Level.WARNING, "address", text, "Set PUBLIC_URL, such as https://desk.example.com.")


def _check_redis(parts: Parts) -> Iterator[CheckResult]:
    health = parts.store.overview.health()
    yield CheckResult(Level.OK, "redis", f"Connected to {health.server}.")
    if not parts.store.connections.is_verified:
        text = "The certificate of Redis is not verified (ssl_cert_reqs=none): an attacker may read everything."
        yield CheckResult(Level.WARNING, "redis", text, "Use ssl_ca_certs instead: docs/configuration.md.")
    for level, sentences in ((Level.FAILED, health.problems), (Level.WARNING, health.warnings)):
        for sentence in sentences:
            yield CheckResult(level, "durable", f"{sentence}.")
    if not health.problems:
        yield CheckResult(Level.OK, "durable", "Acknowledged deliveries survive a restart.")


def _check_worker(parts: Parts) -> Iterator[CheckResult]:
    message = parts.store.queue.ping()
    yield CheckResult(Level.OK, "writable", "Redis accepts writes.")
    workers = parts.store.queue.workers()
    alive = workers.alive()
    if not alive:
        text = f"No worker has made progress in the last {HEARTBEAT_FRESH_MS // 1000} seconds."
        yield CheckResult(Level.FAILED, "worker", text, "Start bin/worker and read its log.")
        return
    yield CheckResult(Level.OK, "worker", f"{counted(len(alive), 'worker')} running: {', '.join(sorted(alive))}.")
    if message is None:
        yield CheckResult(Level.WARNING, "hand-over", "Not checked: the queue is full.")
    elif _is_taken(parts, message):
        yield CheckResult(Level.OK, "hand-over", "A worker received a test message.")
    else:
        text = f"No worker received a test message within {HAND_OVER_S:.0f} seconds."
        yield CheckResult(Level.FAILED, "hand-over", text, "All workers are busy or stuck: read their logs.")


def _is_taken(parts: Parts, message: str) -> bool:
    give_up_at = time.monotonic() + HAND_OVER_S
    while parts.store.queue.is_waiting(message):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _check_sync(parts: Parts) -> Iterator[CheckResult]:
    """Whether contacts are sent to LiveDesk, or wait for something."""
    upstream = parts.store.upstream.read()
    if upstream.paused_at:
        text = (
            f"Paused by {upstream.paused_by}{f': {masked_text(upstream.paused_why)}' if upstream.paused_why else '.'}"
        )
        yield CheckResult(Level.WARNING, "sync", text, "Run flask resume.")
    if upstream.stop:
        since, probe = relative(upstream.since, parts.store.now()), as_text(goes_when(upstream), parts.store.now())
        said = " ".join(["", *asked_for(upstream)])
        text = f"Stopped {since}: {STOPPED[upstream.stop]}: {reason_of(upstream)} ({upstream.cause}).{said}"
        if not upstream.paused_at:
            text += f" Contacts go {probe}."
        todo = "It resumes by itself once a probe succeeds. The checks below show what is wrong."
        yield CheckResult(Level.FAILED, "sync", text, todo)
    for held in upstream.inboxes:
        text = f"The contacts of inbox {held.inbox} wait: {explain(held.cause).title}." if held.inbox else NO_INBOX
        yield CheckResult(Level.FAILED, "sync", text, "Correct the inbox and restart the workers.")
    if upstream.state == "up" and not upstream.inboxes:
        yield CheckResult(Level.OK, "sync", f"Running.{_on_the_way(parts)}")
    for (source, other), waiting in parts.store.quarantine.clashes().items():
        text = f"{clashing(waiting)}: {source} uses identifiers of people of {other}."
        yield CheckResult(Level.WARNING, "clashes", text, f"Run flask quarantine list --clash {source} {other}.")


def _on_the_way(parts: Parts) -> str:
    """Return how many contacts are on the way, what limits them, and for how long."""
    overview = parts.store.overview.read()
    if not overview.backlog:
        return ""
    limit = f"; limited by {words}" if (words := limit_words(overview)) else ""
    return f" {people(overview.backlog)} on the way: {clear_words(overview)}{limit}."


def _check_livedesk(parts: Parts, may_probe: Callable[[], bool]) -> Iterator[CheckResult]:
    if parts.livedesk is None:
        return
    is_broken = False
    for check in check_connection(parts.livedesk):
        is_broken = is_broken or check.level is Level.FAILED
        yield check
    if is_broken:
        return
    inboxes = {source.inbox_id for source in parts.sources.values()} | {parts.inbox_id}
    inbox_ids = sorted(inbox_id for inbox_id in inboxes if inbox_id is not None)
    if not inbox_ids or not may_probe():
        yield CheckResult(Level.WARNING, "live probes", NOT_PROBED, "Run flask doctor --yes.")
        account = None
    else:
        probes = Probe(parts.livedesk, inbox_ids)
        yield from probes.run()
        account = probes.account
    try:
        if account is not None:
            parts.store.findings.save_account(parts.livedesk.account, account)
            yield CheckResult(Level.OK, "saved", "The workers will use these results within seconds.")
        yield from _check_deletions(parts, account or parts.store.findings.account(parts.livedesk.account))
    except StoreError as error:
        if account is not None:
            text = f"The results cannot be saved: {error}."
            yield CheckResult(Level.FAILED, "saved", text, "Run flask doctor again.")


def _check_deletions(parts: Parts, account: Account) -> Iterator[CheckResult]:
    """Whether sources can delete contacts in LiveDesk where they should."""
    names = [name for name, source in parts.sources.items() if source.on_delete is OnDelete.DELETE]
    if not names or account.deletes:
        return
    known = "is not known to let" if account.deletes is None else "does not let"
    text = f'on_delete = "delete" of {", ".join(names)} marks contacts instead: LiveDesk {known} us delete them.'
    todo = "Run flask doctor --yes." if account.deletes is None else MAY_NOT
    yield CheckResult(Level.WARNING, "deletions", text, todo)
