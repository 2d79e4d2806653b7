"""Nothing that went into a whole system comes out where it does not belong.

One run has everything that people and senders can do wrong, a LiveDesk that answers nonsense, a crash, and failed
sign-ins. Then all logs, metrics, Sentry's envelopes, names of keys, requests to LiveDesk and error pages are searched
for the personal data and the secrets. It takes about 10 s, because three processes start.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.conftest import checked
from tests.e2e.leakage import RecordingProxy, leaks, livedesk_heads, recording_proxy
from tests.e2e.system import BEARER, FAST, OPERATOR, SOURCES, System, call
from tests.e2e.test_sentry import guarded_redis
from tests.rig.parts import STAND_IN_ACCOUNT, TEST_ENV, Stack, bare_environment, stand_in
from tests.rig.processes import free_port
from tests.sentry_sink import Sink, running_sink
from tests.world import wait_until
from worker.store import keys
from worker.store.record import stored

WHO = "zq61who@people.example"
PERSON: dict[str, Any] = {
    "identifier": WHO,
    "email": "zq62mail@people.example",
    "name": "Zq63name Zq63family",
    "phone_number": "+4915164646464",
    "avatar_url": "https://pictures.example/zq65picture.png",
    "custom_attributes": {"plan": "zq66attribute"},
}
SECRETS = {
    "SHOP_SECRET": "zq71-secret-of-the-shop",
    "SHOP_SECRET_OLD": "zq72-old-secret-of-the-shop",
    "METRICS_TOKEN": "zq73-token-of-the-metrics",
    "DASHBOARD_PASSWORD": "zq74-password-of-operators",
    "DASHBOARD_VIEWER_PASSWORD": "zq75-password-of-viewers",
    "OIDC_CLIENT_SECRET": "zq76-secret-of-the-client",
}
REDIS_PASSWORD = "zq80password"
GUESS = "zq77-guessed-by-somebody"
#: None of these may come out. Personal data is searched for by the part that survives every way to write it.
FORBIDDEN = {
    "an identifier": "zq61who",
    "an e-mail address": "zq62mail",
    "a name": "zq63name",
    "a family name": "zq63family",
    "a phone number": "15164646464",
    "a picture": "zq65picture",
    "an attribute": "zq66attribute",
    "somebody's guess": GUESS,
    "an operator's search": "zq78search",
    "the Redis password": REDIS_PASSWORD,
    **SECRETS,
    **TEST_ENV,
    **{name: STAND_IN_ACCOUNT[name] for name in ("LIVEDESK_API_KEY", "LIVEDESK_API_SECRET")},
}
NONSENSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nno header zq62mail@people.example\r\n"
    b"Content-Length: 2\r\n\r\n{}",
    b"zq62mail@people.example is not HTTP\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + json.dumps(PERSON).encode(),
    b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/?q=zq62mail\r\nContent-Length: 0\r\n\r\n",
)


@dataclass
class Run:
    """A system, and what it has answered to people who did something wrong."""

    system: System
    sentry: Sink
    proxy: RecordingProxy
    pages: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.system.stack.url

    def refused(self, method: str, path: str, *status: int, **options: Any) -> requests.Response:
        """Send a request that must be refused, and keep the answer with its headers."""
        answer = call(method, f"{self.url}{path}", **options)
        assert answer.status_code in status, (path, answer.status_code, answer.text)
        self.pages.append(f"{answer.headers}\n{answer.text}")
        return answer

    def outputs(self) -> dict[str, str]:
        """Return everything that may come out, by its name."""
        metrics = call("GET", f"{self.url}/metrics", headers=bearer(SECRETS["METRICS_TOKEN"]))
        ready = call("GET", f"{self.url}/readyz", headers=bearer(SECRETS["METRICS_TOKEN"]))
        assert (metrics.status_code, ready.status_code) == (200, 200)
        stack = self.system.stack
        return {
            "the log of the receiver": stack.receiver.log.read_text(),
            "the log of the worker": "".join(worker.log.read_text() for worker in stack.workers),
            "the metrics": metrics.text,
            "the readiness": ready.text,
            "what Sentry got": b"\n".join(self.sentry.envelopes).decode(),
            "the names of keys": "\n".join(map(str, self.system.client.scan_iter("*"))),
            "what LiveDesk got": livedesk_heads(self.proxy),
            "error pages": "\n".join(self.pages),
        }


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with ExitStack() as running:
        port = free_port()
        running.enter_context(stand_in(port, log=tmp_path / "livedesk.log"))
        proxy = running.enter_context(recording_proxy(port))
        sentry = running.enter_context(running_sink())
        redis_url = running.enter_context(guarded_redis(tmp_path))
        (tmp_path / "sources.toml").write_text(SOURCES)
        env = {**bare_environment(), **TEST_ENV, **FAST, **STAND_IN_ACCOUNT, **SECRETS, "METRICS_OPEN": "no"}
        env |= {"REDIS_URL": redis_url, "SENTRY_DSN": sentry.dsn, "LIVEDESK_BASE_URL": proxy.url, "LOG_LEVEL": "debug"}
        # An identity provider that answers what no provider answers.
        env |= {"OIDC_ISSUER": proxy.url, "OIDC_CLIENT_ID": "sync", "OIDC_OPERATORS": "ada@example.com"}
        stack = running.enter_context(Stack(tmp_path, env, cwd=tmp_path, port=free_port()))
        system = running.enter_context(checked(System(stack)))
        yield Run(system, sentry, proxy)


def test_what_went_in_comes_out_nowhere(run: Run) -> None:
    bad_deliveries(run)
    bad_answers(run)
    conflicts(run)
    crashes(run)
    bad_sign_ins(run)
    lost_connections(run)
    wait_until(lambda: {"ValueError", "TypeError"} <= set(run.sentry.bugs()), "Sentry has the crashes")
    outputs = run.outputs()
    found = leaks(FORBIDDEN, outputs)
    assert not found, "\n".join(found)
    assert "sentry-trace" not in outputs["what LiveDesk got"].lower()
    # The run was as bad as it should be.
    assert all(outputs.values())
    for sign in ("library message", "bug error=", "cause=email_taken", "sign-in failed", "state=created"):
        assert sign in outputs["the log of the receiver"] + outputs["the log of the worker"], sign


def bad_deliveries(run: Run) -> None:
    path = "/webhooks/signup"
    run.refused("POST", path, 401, json=PERSON, headers=bearer(GUESS))
    run.refused("POST", f"{path}?token={GUESS}&email={PERSON['email']}", 401, json=PERSON)
    run.refused("POST", f"{path}-{PERSON['email']}", 404, json=PERSON, headers=BEARER)
    run.refused("POST", path, 400, data=f"{{{PERSON}", headers={**BEARER, "Content-Type": "application/json"})
    run.refused("POST", path, 415, data=str(PERSON), headers={**BEARER, "Content-Type": f"text/{WHO}"})
    run.refused("POST", "/webhooks/shop", 401, json=PERSON, headers={"X-Shop-Signature": GUESS})
    run.refused("PUT", f"{path}?{WHO}", 405, json=PERSON, headers=BEARER)
    # With a valid secret and no usable contact: refused, or kept in quarantine.
    without = {name: value for name, value in PERSON.items() if name != "identifier"}
    for document in ({**PERSON, "identifier": [WHO]}, {"type": WHO, "data": without}):
        run.refused("POST", path, 200, 422, json=document, headers=BEARER)
        run.refused("POST", "/webhooks/app", 200, 422, json=document, headers=BEARER)


def bad_answers(run: Run) -> None:
    """A search that is answered with nonsense, and refusals that quote what was sent."""
    system = run.system
    echo = json.dumps({"message": f"{PERSON} {STAND_IN_ACCOUNT}", "attributes": ["email"]})
    system.livedesk.behave("status", on="create", times=1, status=500, body=echo)
    run.proxy.instead.extend(NONSENSE)
    system.accept(**{**PERSON, "identifier": f"{WHO}-nonsense"})
    system.wait_for(f"{WHO}-nonsense", "created")
    assert run.proxy.instead == []
    for status in (401, 404, 413, 422):
        system.livedesk.behave("status", on="create", times=1, status=status, body=echo)
        identifier = f"{WHO}-{status}"
        system.accept(**{**PERSON, "identifier": identifier, "email": f"{status}-{PERSON['email']}"})
        system.wait_for(identifier, "created", "failed", "conflict")


def conflicts(run: Run) -> None:
    email = f"taken-{PERSON['email']}"
    run.system.livedesk.add_contact(identifier="somebody-else", email=email)
    run.system.accept(**{**PERSON, "identifier": f"{WHO}-conflict", "email": email})
    run.system.wait_for(f"{WHO}-conflict", "conflict")


def crashes(run: Run) -> None:
    """A record that makes no sense, so that errors in receiver and worker quote it."""
    system, identifier = run.system, f"{WHO}-crash"
    system.livedesk.behave("throttle", times=1, retry_after=3600)
    system.accept(**{**PERSON, "identifier": identifier})
    system.wait_for(identifier, "retrying")
    system.client.delete(keys.UPSTREAM)
    name = keys.contact(system.key(identifier))
    data = str(system.client.hget(name, "data"))
    system.client.hset(name, stored("state"), str(PERSON["email"]))
    run.refused("GET", f"/contacts/{identifier}", 500, headers=OPERATOR)
    system.client.hset(name, mapping={stored("state"): "retrying", "data": json.dumps({str(PERSON["email"]): 1})})
    system.store.contacts.retry_now(system.key(identifier))
    wait_until(lambda: system.hurry() and "error=TypeError" in system.log(), "the worker has met it")
    system.client.hset(name, "data", data)


def bad_sign_ins(run: Run) -> None:
    with requests.Session() as browser:
        browser.trust_env = False
        page = browser.get(f"{run.url}/dashboard/sign-in", timeout=5)
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token
        form, url = {"csrf": token[1], "name": "Ada"}, f"{run.url}/dashboard/sign-in"
        run.pages.append(browser.post(url, data={**form, "password": GUESS}, timeout=5).text)
        right = {**form, "password": SECRETS["DASHBOARD_PASSWORD"]}
        assert browser.post(url, data=right, timeout=5, allow_redirects=False).status_code == 303
        for path in (f"/contacts/{WHO}", f"/{WHO}", "/contacts?state=zq78search", f"/audit?since={WHO}"):
            found = browser.get(f"{run.url}/dashboard{path}", timeout=5)
            assert found.status_code in (400, 404), path
            run.pages.append(found.text)
        browser.get(f"{run.url}/dashboard/sign-in/provider?next=/{WHO}", timeout=5)
        query = f"code={GUESS}&state={GUESS}&error={WHO}&error_description={WHO}"
        run.pages.append(browser.get(f"{run.url}/dashboard/sign-in/provider/answer?{query}", timeout=5).text)
    run.refused("GET", f"/contacts/{WHO}", 401, headers=bearer(GUESS))
    run.refused("GET", f"/contacts/zq78search-{WHO}", 404, headers=OPERATOR)
    run.refused("POST", "/api/v1/contacts/find", 400, json={"text": ["zq78search", WHO]}, headers=OPERATOR)
    run.refused("GET", f"/{WHO}?{WHO}", 404)
    run.refused("GET", "/metrics", 401, headers=bearer(GUESS))


def lost_connections(run: Run) -> None:
    run.system.client.client_kill_filter(_type="normal", skipme=True)
    wait_until(lambda: call("GET", f"{run.url}/readyz").status_code == 200, "it is ready again")
    last = {**PERSON, "identifier": f"{WHO}-last", "email": f"last-{PERSON['email']}"}
    # A thread whose connection was used just before notices with its next command that it is lost, and answers 503.
    wait_until(lambda: run.system.deliver(last).status_code == 200, "every thread has a connection again")
    run.system.wait_for(f"{WHO}-last", "created")


@pytest.mark.parametrize(
    "line",
    [
        "Failed to parse headers (url=http://a/?q=zq62mail%40people.example)",
        "ZQ62MAIL@people.example",
        "dG8genE2Mm1haWxAcGVvcGxlLmV4YW1wbGU=",
        "Authorization: Basic c3luYzp6cTgwcGFzc3dvcmQ=",
        "redis://sync:zq80password@127.0.0.1/0",
    ],
)
def test_the_search_would_find_a_leak(line: str) -> None:
    assert leaks(FORBIDDEN, {"a log": f"harmless\n{line}"})
    assert not leaks(FORBIDDEN, {"a log": "attempt key=R2zq0cXfP1yV7mWl state=created"})
