"""A run of hostile requests against a receiver, and what must hold after it."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import requests

from tests.attack.hostile import Findings, Hostile, Session, send_all
from tests.faults.watch import use_of
from tests.rig.parts import STAND_IN_ACCOUNT, TEST_ENV, bare_environment, receiver
from tests.rig.processes import LOCALHOST, Process, free_port
from webhook_app.app import create_app
from webhook_app.parts import Parts
from worker.process.envelope import build_envelope
from worker.store.connection import connect
from worker.store.store import Store
from worker.tasks import create_contact

PASSWORD = "a-password-of-these-tests"
CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
#: Seconds that Redis may take to answer.
REDIS_TIMEOUT_S = 5.0
#: Seconds between two lines of progress.
REPORT_EVERY_S = 10.0
#: The part of a run after which memory is taken for warmed up, and how much it may grow from then on. Less in a long
#: run, where all threads have started by then.
WARM, MAX_GROWTH, MAX_GROWTH_LONG = 0.2, 1.25, 1.1
LONG = 10_000


def attacked_receiver(redis_url: str, folder: Path, **env: str) -> Process:
    """Return a receiver that dashboard, API and webhooks are open on."""
    settings = {**bare_environment(), **TEST_ENV, **STAND_IN_ACCOUNT, "REDIS_URL": redis_url, "ACK": "memory"}
    settings |= {"DASHBOARD_PASSWORD": PASSWORD, "LIVEDESK_BASE_URL": f"http://{LOCALHOST}:1"}
    return receiver(free_port(), env=settings | env, log=folder / "receiver.log", cwd=folder)


def routes(redis_url: str) -> list[str]:
    """Return the paths of the application, with ``<...>`` for a variable."""
    store = Store(connect(redis_url, timeout_s=REDIS_TIMEOUT_S), build_envelope(create_contact))
    app = create_app(Parts(store=store, sources={}))
    return sorted({rule.rule for rule in app.url_map.iter_rules()})


def signed_in(port: int) -> Session:
    """Sign in to the dashboard."""
    with requests.Session() as browser:
        browser.trust_env = False
        url = f"http://{LOCALHOST}:{port}/dashboard/sign-in"
        page = browser.get(url)
        page = browser.post(url, {"password": PASSWORD, "csrf": CSRF.findall(page.text)[0]})
        return Session(
            "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies), CSRF.findall(page.text)[0]
        )


class Attack:
    """Sends ``number`` hostile requests to a running receiver, and judges the effects."""

    def __init__(self, process: Process, paths: list[str], *, number: int, seed: int) -> None:
        self._process = process
        assert process.port is not None
        self._requests = Hostile(seed, paths, signed_in(process.port)).requests(number)
        self._number = number
        self._sent = 0
        self._reported = self._began = time.monotonic()
        #: Megabytes once it was warm, and at the end.
        self.memory_mb: list[float] = []

    def run(self, report: Callable[[str], None] = lambda _line: None) -> Findings:
        assert self._process.port is not None
        self._report = report
        findings = send_all(self._process.port, self._requests, self._progress)
        self.memory_mb.append(self._megabytes())
        return findings

    def problems(self, findings: Findings) -> list[str]:
        """Return what must not be, each a sentence."""
        log = self._process.log_text()
        grown = self.memory_mb[-1] / self.memory_mb[0]
        checks = {
            f"{findings.failures} requests were answered 5xx, or not at all: {findings.examples}": findings.failures,
            f"the log has {log.count('Traceback')} tracebacks": "Traceback" in log,
            f"memory grew by {grown:.2f}": grown > (MAX_GROWTH_LONG if self._number >= LONG else MAX_GROWTH),
            "the receiver ended": not self._process.is_running,
        }
        return [sentence for sentence, applies in checks.items() if applies]

    def _progress(self, findings: Findings) -> None:
        self._sent += 1
        if not self.memory_mb and self._sent >= self._number * WARM:
            self.memory_mb.append(self._megabytes())
        if time.monotonic() - self._reported > REPORT_EVERY_S:
            self._reported = time.monotonic()
            self._report(self.line(findings))

    def line(self, findings: Findings) -> str:
        """Return the state of the run in one line."""
        rate = self._sent / (time.monotonic() - self._began)
        answers = ", ".join(f"{answer}: {number}" for answer, number in findings.answers.most_common(9))
        return (
            f"{self._sent} of {self._number} ({rate:.0f}/s), {self._megabytes():.0f} MB, "
            f"{findings.failures} failures; {answers}"
        )

    def _megabytes(self) -> float:
        use = use_of(self._process)
        return use.mb if use else float("nan")
