"""``flask retry``, ``sources``, ``sources check``, ``quarantine``, ``send-test``."""

import json
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import Result
from werkzeug.serving import make_server

from tests.invariants import assert_invariants
from tests.rig.parts import ROOT, TEST_ENV, Stack
from tests.rig.processes import free_port
from tests.world import make_store
from webhook_app import cli
from webhook_app.app import create_app
from webhook_app.cli import send_test
from webhook_app.cli.output import printable
from webhook_app.cli.sources import line_of, lines_of, read_key
from webhook_app.parts import Parts
from webhook_app.sources.body.keys import KEYS_DEEP
from webhook_app.sources.config import read_source
from worker.errors import SettingsError
from worker.model import Attempt, AttemptResult, Contact, Origin, Outcome, Quarantined, State
from worker.store.connection import connect
from worker.store.store import Store


@pytest.fixture
def store(client: redis.Redis) -> Iterator[Store]:
    yield make_store(client)
    assert_invariants(client)


def flask(
    store: Store, *arguments: str, sources: Mapping[str, dict[str, Any]] | None = None, env: Mapping[str, str] = {}
) -> Result:
    made = {name: read_source(name, written, {}) for name, written in (sources or {}).items()}
    app = create_app(Parts(store=store, sources=made))
    return app.test_cli_runner().invoke(args=list(arguments), env=dict(env))


def bring_to(store: Store, verdict: AttemptResult | None) -> None:
    """The contact, with an attempt that is running (``None``) or has ended so."""
    store.contacts.accept(Contact("a b/ü", 1), Origin("signup"))
    claim = store.contacts.claim(store.key_of("a b/ü"), "token")
    assert claim is not None
    if verdict is not None:
        store.contacts.finish(claim, verdict, Attempt(1, 1))


@pytest.mark.parametrize(
    ("verdict", "says", "state"),
    [
        (AttemptResult(state=State.FAILED, cause="x"), "Retrying now.", State.RETRYING),
        (AttemptResult(state=State.CONFLICT, cause="x", owner_id="9"), "Retrying now.", State.RETRYING),
        (AttemptResult(state=State.RETRYING, cause="x", delay_ms=10**6), "Retrying now.", State.RETRYING),
        (
            AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED),
            "This contact is already in LiveDesk. Nothing was changed.",
            State.CREATED,
        ),
        (None, "An attempt is in progress. Nothing was changed; try again in a minute.", State.SENDING),
    ],
)
def test_retry_says_what_it_did(
    verdict: AttemptResult | None, says: str, state: State, store: Store, client: redis.Redis
) -> None:
    bring_to(store, verdict)
    result = flask(store, "retry", "a b/ü")
    assert (result.exit_code, result.stdout) == (0, f"{says}\n")
    assert result.stderr == "flask retry is now called flask contacts retry.\n"
    record = Store(client).contacts.find("a b/ü")
    assert record is not None
    assert record.state is state


def test_retry_of_a_contact_that_is_new_makes_it_due(store: Store) -> None:
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    assert flask(store, "retry", "ada").stdout == "Retrying now.\n"


@pytest.mark.parametrize("identifier", ["-1", "-ada", "--", "--ada", "-", "--h"])
def test_an_identifier_may_look_like_an_option(store: Store, identifier: str) -> None:
    store.contacts.accept(Contact(identifier, 1), Origin("signup"))
    arguments = ["--", identifier] if identifier == "--" else [identifier]
    assert flask(store, "retry", *arguments).stdout == "Retrying now.\n"


def test_retry_of_an_unknown_contact_fails(store: Store) -> None:
    result = flask(store, "retry", "nobody")
    assert result.exit_code == 1
    assert "There is no such contact." in result.output


def test_retry_without_redis_fails_with_a_sentence() -> None:
    away = connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)
    result = flask(make_store(away), "retry", "ada")
    assert result.exit_code == 1
    assert "Redis cannot be used" in result.output
    assert "Traceback" not in result.output


def test_retry_needs_an_identifier(store: Store) -> None:
    assert flask(store, "retry").exit_code == 2


# flask sources

FILE = """\
# the senders you accept
[sources.app]
preset = "clerk"
secrets = ["$NEW", "$OLD"]
region = "DE"

[sources.form]
verify = [{ scheme = "token", query = "t" }, "basic"]
secret = "user:written-in-the-file"
inbox_id = 7
map = { identifier = "$.id" }
"""
SECRETS = {"NEW": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "OLD": "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUE="}


@pytest.fixture
def sources_file(tmp_path: Path) -> Path:
    path = tmp_path / "sources.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_sources_are_listed_without_their_secrets(store: Store, sources_file: Path) -> None:
    store.secret_uses.mark("app", "$NEW")
    env = {"SOURCES_FILE": str(sources_file), "WEBHOOK_SECRET": "the-secret-of-signup", **SECRETS}
    result = flask(store, "sources", env=env)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert [line for line in lines if line and " " not in line] == ["signup", "app", "form"]
    assert not any(line.startswith("mistake") for line in lines)
    assert "address POST /webhooks/app" in lines
    assert "preset clerk" in lines
    assert any(re.match(r"secret \$NEW: set, last used (now|\d s ago) \(20", line) for line in lines)
    assert "secret $OLD: set, never used" in lines
    assert "secret secret: set, never used" in lines
    assert "verified by token, basic" in lines
    assert "region DE" in lines
    assert "inbox 7" in lines
    assert "on_invalid reject" in lines
    assert not any(secret in result.output for secret in (*SECRETS.values(), "written-in", "the-secret-of"))


def test_sources_as_json(store: Store, sources_file: Path) -> None:
    store.secret_uses.mark("app", "$NEW")
    listed = json.loads(flask(store, "sources", "--json", env={"SOURCES_FILE": str(sources_file), **SECRETS}).stdout)
    app, form = listed
    assert (app["preset"], app["address"], app["last_use_known"]) == ("clerk", "/webhooks/app", True)
    assert [secret["set"] for secret in app["secrets"]] == [True, True]
    assert app["secrets"][0]["last_used_ms"] > 10**12
    assert app["secrets"][1]["last_used_ms"] is None
    assert form["schemes"] == ["token", "basic"]
    assert form["inbox_id"] == 7
    assert form["mistakes"] == []


def test_sources_without_redis_are_listed_all_the_same(sources_file: Path) -> None:
    away = connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)
    env = {"SOURCES_FILE": str(sources_file), **SECRETS}
    result = flask(make_store(away), "sources", env=env)
    assert result.exit_code == 0
    assert "$NEW: set, last use unknown" in result.output
    assert "Redis is unavailable" in result.output


def without_parts(*arguments: str, env: Mapping[str, str] = {}) -> Result:
    app = cli.without_parts(SettingsError(["LIVEDESK_API_KEY is not set."]))
    return app.test_cli_runner().invoke(args=list(arguments), env=dict(env))


def test_sources_that_are_wrong_are_listed_with_what_is_wrong(sources_file: Path) -> None:
    result = without_parts("sources", env={"SOURCES_FILE": str(sources_file), "NEW": SECRETS["NEW"], "OLD": ""})
    assert result.exit_code == 0
    assert "$OLD: not set" in result.output
    assert "OLD is not set: set it, or OLD_FILE" in result.output
    sources_file.write_text('[sources.a]\npreset = "clerck"\nsecret = 7\nverify = 5', encoding="utf-8")
    result = without_parts("sources", env={"SOURCES_FILE": str(sources_file)})
    assert "there is no preset 'clerck'" in result.output


def test_sources_where_there_is_no_file(tmp_path: Path) -> None:
    result = without_parts("sources", env={"SOURCES_FILE": str(tmp_path / "none.toml")})
    assert result.exit_code == 1
    assert "none.toml: cannot be read" in result.output


def test_sources_that_are_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    for text, says in (("sources = 5", "it has no [sources.<name>]"), ("=", "Invalid")):
        path.write_text(text, encoding="utf-8")
        result = without_parts("sources", env={"SOURCES_FILE": str(path)})
        assert result.exit_code == 1
        assert says in result.output


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("the-secret-of-signup", "verified by token"),
        ("whsec_" + "A" * 32, "verified by standard-webhooks, token"),
        ("whsec_%", "mistake WEBHOOK_SECRET begins with whsec_"),
    ],
)
def test_the_source_that_needs_no_file_is_listed(secret: str, says: str) -> None:
    output = without_parts("sources", env={"WEBHOOK_SECRET": secret}).output
    assert says in " ".join(output.split())
    assert secret not in output


def test_without_a_right_configuration_other_commands_say_what_is_wrong() -> None:
    for arguments in (["retry", "ada"], ["send-test", "signup"], ["quarantine", "list"]):
        result = without_parts(*arguments)
        assert result.exit_code == 1
        assert "LIVEDESK_API_KEY is not set." in result.output


def test_the_app_without_parts_serves_nothing() -> None:
    answer = cli.without_parts(SettingsError([])).test_client().post("/webhooks/signup")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


# flask sources check

WRONG = """\
[sources.app]
preset = "clerk"
secret = "$NOPE"
regoin = "DE"

[sources.two]
verify = { scheme = "hmac", header = "X", hash = "md5" }
secrets = [
    "long enough",  # ] and [sources.three]
    "short",
]
map.identifier = "$.["
only_if = { "$.a" = [] }
"""


def check(tmp_path: Path, text: str) -> Result:
    path = tmp_path / "s.toml"
    path.write_text(text, encoding="utf-8")
    return without_parts("sources", "check", str(path), env={"NOPE": ""})


def test_every_mistake_is_reported_with_its_line(tmp_path: Path) -> None:
    result = check(tmp_path, WRONG)
    assert result.exit_code == 1
    told = [line.removeprefix(f"{tmp_path / 's.toml'}:") for line in result.output.splitlines()]
    assert [line.partition(":")[0] for line in told] == ["4", "3", "8", "12", "13"]
    assert told[0].startswith('4: [sources.app] regoin: unknown key; did you mean "region"?')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = [1,\n2 3]", 3),
        ("[sources.a]\nverify = ", 2),
        ("[sources.a]\nverify = [\n\n", 3),
        ("x = 1\n\n[sources.a]\nverify = 'token'\nsecret = 'long enough'", 1),
        ("[sources]\n\na = 5", 3),
        ("[sources.a.map]\nidentifier = '$.id'\n[sources.a]\nverify = 'tokn'\nsecret = 'long enough'", 4),
        ("\n\n[sources.a.map]\nidentifier = '$.id'", 3),
        ('sources.a.verify = \'tokn\'\nsources.a.secret = """long\nenough"""\nsources.a.map.nam = 1', 1),
        ("", 1),
    ],
)
def test_the_first_mistake_is_on_this_line(text: str, line: int, tmp_path: Path) -> None:
    result = check(tmp_path, text)
    assert result.exit_code == 1
    first = result.output.splitlines()[0].removeprefix(f"{tmp_path / 's.toml'}")
    assert first.startswith(f":{line}: " if text else ": "), result.output


def test_lines_are_those_of_statements_whatever_strings_contain() -> None:
    text = textwrap.dedent(
        """\
        a = \'\'\'
        b = 1
        [c]
        \'\'\'
        # d = 1
        "e.f" = "[g]"
        h . i = [
            ["[j]"], # ]
        ]
        [k."l m"]
        n = {o = 1}
        """
    )
    lines = lines_of(text)
    assert lines == {
        ("a",): 1,
        ("e.f",): 6,
        ("h",): 7,
        ("h", "i"): 7,
        ("k",): 10,
        ("k", "l m"): 10,
        ("k", "l m", "n"): 11,
        ("k", "l m", "n", "o"): 11,
    }
    assert line_of(lines, ("k", "l m", "n", "p")) == 11
    assert line_of(lines, ("z",)) == 1


@pytest.mark.parametrize(
    ("sentence", "key"),
    [
        ("map.email: is not a path", ("map", "email")),
        ('only_if."$.a:b": must not be empty', ("only_if", "$.a:b")),
        ("there is no such file", ()),
        ("$OLD is not set: set it", ()),
    ],
)
def test_the_key_that_a_sentence_is_about(sentence: str, key: tuple[str, ...]) -> None:
    assert read_key(sentence) == key


def test_a_right_file_is_ok(sources_file: Path) -> None:
    result = without_parts("sources", "check", env={"SOURCES_FILE": str(sources_file), **SECRETS})
    assert result.exit_code == 0
    assert "[sources.form] secret is written into the file" in result.output
    assert result.output.endswith("OK: 2 sources, 1 warning\n")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = without_parts("sources", "check", str(tmp_path / "none.toml"))
    assert result.exit_code == 1
    assert result.output == f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory.\n"


def test_check_works_by_the_usual_command_line_where_the_app_cannot_start(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(FILE.replace("region", "regoin"), encoding="utf-8")
    command = [sys.executable, "-m", "flask", "--app", "webhook_app.wsgi"]
    env = {"SOURCES_FILE": str(path), "PYTHONPATH": str(ROOT), **SECRETS}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True)

    result = run("sources", "check")
    assert result.returncode == 1
    assert result.stdout.startswith(f"{path}:5: [sources.app] regoin")
    result = run("retry", "ada")
    assert result.returncode == 1
    assert "LIVEDESK_API_KEY is not set" in result.stderr
    importing = subprocess.run([sys.executable, "-c", "import webhook_app.wsgi"], env=env, capture_output=True)
    assert importing.returncode == 78


# flask quarantine

SOURCE: dict[str, Any] = {"verify": "token", "secret": "a-secret-of-the-tests", "inbox_id": 1}
OLD_MAP = {"app": {**SOURCE, "map": {"identifier": "$.old"}}}
NEW_MAP = {"app": {**SOURCE, "map": {"identifier": "$.user.uid"}, "ignore_if": {"$.type": "ping"}}}


def keep(store: Store, *payloads: object) -> None:
    for payload in payloads:
        problems = {"identifier": "is \x1b[31mmissing"}
        store.quarantine.add(Quarantined(source="app", payload=json.dumps(payload), problems=problems, headers={}))


def entries(store: Store) -> list[str]:
    return [held.entry for held in store.quarantine.page()]


def test_an_empty_quarantine(store: Store) -> None:
    assert flask(store, "quarantine", "list").output == "The quarantine is empty.\n"


def test_the_quarantine_is_listed(store: Store) -> None:
    keep(store, {"user": {"uid": 7}})
    result = flask(store, "quarantine", "list")
    assert result.exit_code == 0
    line = result.output.splitlines()[1]
    assert line.startswith(entries(store)[0])
    assert "app" in line
    assert re.search(r"(now|\d s ago) \(20", line)
    assert "identifier: is \ufffd[31mmissing" in line


def test_an_entry_shows_values_only_if_revealed(store: Store) -> None:
    keep(store, {"user": {"uid": "Ada", "mails": [{"m": 1}, {"m": 2}], "none": []}})
    (entry,) = entries(store)
    shown = flask(store, "quarantine", "show", entry).output
    assert [line.strip() for line in shown.splitlines()][-3:] == ["$.user.mails[*].m", "$.user.none", "$.user.uid"]
    assert "Ada" not in shown
    assert '"uid": "Ada"' in flask(store, "quarantine", "show", entry, "--reveal").output


@pytest.mark.parametrize("levels", [30, 300, 900, 20_000])
def test_an_entry_that_is_nested_deeply(levels: int, store: Store) -> None:
    payload = '{"a":' * levels + '"Ada"' + "}" * levels
    store.quarantine.add(Quarantined(source="app", payload=payload, problems={"identifier": "missing"}, headers={}))
    (entry,) = entries(store)
    shown = flask(store, "quarantine", "show", entry)
    told = f"  ${'.a' * KEYS_DEEP}" if levels < 10_000 else "Error: The payload is nested too deeply."
    assert shown.output.splitlines()[-1] == told
    revealed = flask(store, "quarantine", "show", entry, "--reveal")
    assert revealed.exit_code == 0
    assert "Ada" in revealed.output
    replayed = flask(store, "quarantine", "replay", entry, sources=NEW_MAP)
    assert replayed.exit_code == 1
    assert "1 still in quarantine" in replayed.output


@pytest.mark.parametrize("command", [("show",), ("replay",), ("discard",)])
def test_an_entry_that_is_not_there(command: tuple[str], store: Store) -> None:
    result = flask(store, "quarantine", *command, "nobody")
    assert result.exit_code == 1
    assert "There is no such delivery in quarantine." in result.output


def test_one_entry_is_replayed(store: Store) -> None:
    keep(store, {"user": {"uid": 7}}, {"user": {"uid": 8}})
    first, second = entries(store)
    result = flask(store, "quarantine", "replay", first, sources=NEW_MAP)
    assert (result.exit_code, result.stdout) == (0, "1 accepted, 0 duplicate, 0 ignored, 0 still in quarantine\n")
    assert entries(store) == [second]


def test_all_are_replayed_and_the_rest_is_reported(store: Store) -> None:
    again = {"user": {"uid": 7}, "again": True}
    keep(store, {"user": {"uid": 7}}, again, {"type": "ping"}, {"nobody": 1}, {"nobody": 2})
    result = flask(store, "quarantine", "replay", "--all", sources=NEW_MAP)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "1 accepted, 1 duplicate, 1 ignored, 2 still in quarantine"
    assert lines[1].startswith("  2 of app: identifier: ")
    assert len(entries(store)) == 2
    result = flask(store, "quarantine", "replay", "--all", sources={})
    assert "2 of app: source: the source app no longer exists" in result.stdout


def test_replay_needs_an_entry_or_all(store: Store) -> None:
    assert flask(store, "quarantine", "replay").exit_code == 2
    assert flask(store, "quarantine", "replay", "x", "--all").exit_code == 2


def test_actions_on_the_quarantine_are_audited(store: Store) -> None:
    keep(store, {"user": {"uid": 7}}, {"user": {"uid": 8}}, {"user": {"uid": 9}})
    first, second, third = entries(store)
    flask(store, "quarantine", "show", first, "--reveal", "--who", "ada", "--why", "a question")
    flask(store, "quarantine", "show", first)
    flask(store, "quarantine", "replay", second, "--who", "ada", sources=NEW_MAP)
    flask(store, "quarantine", "discard", third)
    noted = [(entry.who, entry.did, entry.target, entry.why) for entry in store.audit.page()]
    assert noted == [
        ("command line", "discarded a delivery in quarantine", third, ""),
        ("ada", "replayed a delivery in quarantine", second, ""),
        ("ada", "revealed a delivery in quarantine", first, "a question"),
    ]


def test_an_entry_is_discarded(store: Store) -> None:
    keep(store, {"user": {"uid": 7}})
    assert flask(store, "quarantine", "discard", *entries(store)).exit_code == 0
    assert entries(store) == []


def test_the_quarantine_without_redis() -> None:
    away = make_store(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1))
    for arguments in (["list"], ["show", "x"], ["replay", "--all"], ["discard", "x"]):
        result = flask(away, "quarantine", *arguments)
        assert result.exit_code == 1
        assert "Redis cannot be used" in result.output


# flask send-test


@contextmanager
def serving(store: Store, sources: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """A receiver with this store, at this address."""
    made = {name: read_source(name, written, {}) for name, written in sources.items()}
    app = create_app(Parts(store=store, sources=made))
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(store: Store, *arguments: str, sources: Mapping[str, dict[str, Any]] = NEW_MAP) -> Result:
    with serving(store, sources) as url:
        return flask(store, "send-test", *arguments, "--url", url, sources=sources)


@pytest.mark.e2e
def test_a_test_signup_arrives_in_livedesk(tmp_path: Path) -> None:
    with Stack.on_free_ports(tmp_path) as stack:
        command = [sys.executable, "-m", "flask", "--app", "webhook_app.wsgi", "send-test", "signup"]
        env = {**stack.env, "PYTHONPATH": str(ROOT)}
        for extra in ([], ["--identifier", "me 1"]):
            arguments = [*command, "--url", stack.url, *extra]
            result = subprocess.run(arguments, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert result.returncode == 0, result.stdout + result.stderr
            first, *_, last = result.stdout.splitlines()
            assert first.startswith('200 {"status": "accepted"')
            assert last.startswith("created: contact ")
            assert TEST_ENV["WEBHOOK_SECRET"] not in result.stdout
            assert not extra or '"identifier": "me 1"' in first


def test_a_contact_that_is_not_created_in_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_test, "FOLLOW_S", 0.3)
    result = send(store, "app")
    assert result.exit_code == 1
    assert "\npending\n" in result.output
    assert "Is a worker running?" in result.output


def test_a_contact_that_ends_otherwise(store: Store) -> None:
    bring_to(store, AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="9"))
    mapped = {"app": {**SOURCE, "map": {"identifier": "$.id"}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(send_test, "_post", lambda *_: (200, b'{"status": "duplicate", "identifier": "a b/\\u00fc"}'))
        result = send(store, "app", sources=mapped)
    assert result.exit_code == 1
    assert "conflict: email_taken, conflicts with contact 9" in result.output


def test_what_makes_no_contact_is_said(store: Store, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"type": "ping"}', encoding="utf-8")
    result = send(store, "app", "--body", str(body))
    assert result.exit_code == 1
    assert "The delivery has no usable contact: ignored." in result.output


def test_a_body_of_ones_own_gets_the_wanted_identifier(store: Store, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"user": {"uid": "x"}}', encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(send_test, "FOLLOW_S", 0)
        assert '"identifier": "y"' in send(store, "app", "--body", str(body), "--identifier", "y").output


def test_what_is_refused_is_said(store: Store) -> None:
    with serving(store, {"app": {**NEW_MAP["app"], "secret": "another-secret-of-theirs"}}) as url:
        result = flask(store, "send-test", "app", "--url", url, sources=NEW_MAP)
    assert result.exit_code == 1
    assert "401" in result.output
    assert "The receiver rejected the delivery." in result.output


def test_no_receiver_is_one_sentence(store: Store) -> None:
    result = flask(store, "send-test", "app", "--url", f"http://127.0.0.1:{free_port()}", sources=NEW_MAP)
    assert result.exit_code == 1
    assert "No receiver answers at 127.0.0.1:" in result.output


def test_a_sample_that_cannot_be_made_new_is_sent_as_it_is(store: Store, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"shop": "a", "uid": 5}', encoding="utf-8")
    mapped = {"app": {**SOURCE, "map": {"identifier": {"join": ["$.shop", "$.uid"], "with": "-"}}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(send_test, "FOLLOW_S", 0)
        result = send(store, "app", "--body", str(body), "--identifier", "y", sources=mapped)
    assert "is sent unchanged" in result.output
    assert '"identifier": "a-5"' in result.output


def test_the_sample_of_another_event_is_sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_test, "FOLLOW_S", 0)
    shop = {"app": {**SOURCE, "preset": "shopify", "on_delete": "mark"}}
    assert '"identifier": "77"' in send(store, "app", "--identifier", "77", sources=shop).output
    changed = send(store, "app", "--identifier", "77", "--event", "customers/update", sources=shop)
    assert '"identifier": "77"' in changed.output
    deleted = send(store, "app", "--identifier", "77", "--event", "customers_delete", sources=shop)
    assert '"status": "accepted", "identifier": "77"' in deleted.output
    ignoring = {"app": {**SOURCE, "preset": "shopify"}}
    result = send(store, "app", "--identifier", "77", "--event", "customers_delete", sources=ignoring)
    assert 'The source ignores deletions: its on_delete is "ignore".' in result.output
    result = send(store, "app", "--event", "customers_vanish", sources=shop)
    assert result.exit_code == 2
    assert "The preset shopify has no sample of 'customers_vanish'" in result.output
    result = send(store, "app", "--event", "user.updated")
    assert result.exit_code == 2
    assert "The source app has no preset" in result.output


def test_what_cannot_be_sent_ends_with_2(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unsignable = {"app": {"preset": "kinde", "verify": {"jwks": "https://keys.example.com/jwks.json"}}}
    result = flask(store, "send-test", "app", sources=unsignable)
    assert result.exit_code == 2
    assert "A test delivery for app cannot be signed here" in result.output
    monkeypatch.setattr("webhook_app.sources.sample.SAMPLES", tmp_path)
    result = flask(store, "send-test", "app", sources={"app": {**SOURCE, "preset": "shopify"}})
    assert result.exit_code == 2
    assert "The sample of the preset shopify is not installed." in result.output
    assert flask(store, "send-test", "nobody", sources=NEW_MAP).exit_code == 2
    assert flask(store, "send-test", "app", "--url", "file:///x", sources=NEW_MAP).exit_code == 2


def test_control_characters_are_replaced() -> None:
    assert printable("a\x1b[2J\nü") == "a\ufffd[2J\ufffdü"
