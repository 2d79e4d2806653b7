"""The environment as settings: every variable, every mistake, no secret revealed."""

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.errors import SettingsError
from worker.model import Ack, LogFormat
from worker.outbound import CA_BUNDLE_VARIABLES, is_public, read_proxies
from worker.settings import SETTINGS, Settings, load_settings
from worker.store.address import MUST_START

ROOT = Path(__file__).parents[2]
NEEDED = {"LIVEDESK_API_KEY": "key", "LIVEDESK_API_SECRET": "hunter2"}
TOKEN = "hunter2-hunter2-hunter2"

#: variable, what it says, the setting, what that is
VARIABLES: list[tuple[str, str, str, Any]] = [
    ("LIVEDESK_API_KEY", " key ", "livedesk_api_key", "key"),
    ("LIVEDESK_API_SECRET", "hunter2\n", "livedesk_api_secret", "hunter2"),
    ("LIVEDESK_INBOX_ID", "407", "livedesk_inbox_id", 407),
    ("LIVEDESK_BASE_URL", "http://127.0.0.1:8001/", "livedesk_base_url", "http://127.0.0.1:8001"),
    ("LIVEDESK_CA_BUNDLE", certifi.where(), "livedesk_ca_bundle", Path(certifi.where())),
    ("ALLOW_HTTP", "yes", "allow_http", True),
    ("LIVEDESK_RATE", "2.5", "livedesk_rate", 2.5),
    ("LIVEDESK_LOOK_UPS", "60", "livedesk_look_ups_per_minute", 60.0),
    ("LIVEDESK_TIMEOUT", "1.5", "livedesk_timeout_s", 1.5),
    ("LIVEDESK_SETTLE", "2m", "livedesk_settle_ms", 120_000),
    ("LIVEDESK_ADOPT", "No", "livedesk_adopt", False),
    ("REDIS_URL", "unix:///run/redis.sock", "redis_url", "unix:///run/redis.sock"),
    ("ACK", "Fsync", "ack", Ack.FSYNC),
    ("ACCEPT_TIMEOUT", "4s", "accept_timeout_s", 4.0),
    ("BODY_TIMEOUT", "5s", "body_timeout_s", 5.0),
    ("MAX_BACKLOG", "5000", "max_backlog", 5000),
    ("MAX_MEMORY", "75 %", "max_memory", 0.75),
    ("SOURCES_FILE", "etc/sources.toml", "sources_file", Path("etc/sources.toml")),
    ("WEBHOOK_SECRET", TOKEN, "webhook_secret", TOKEN),
    ("API_TOKEN", TOKEN, "api_token", TOKEN),
    ("DASHBOARD_PASSWORD", TOKEN, "dashboard_password", TOKEN),
    ("DASHBOARD_VIEWER_PASSWORD", TOKEN, "dashboard_viewer_password", TOKEN),
    ("OIDC_ISSUER", "https://login.example/", "oidc_issuer", "https://login.example"),
    ("OIDC_CLIENT_ID", "livedesk-sync", "oidc_client_id", "livedesk-sync"),
    ("OIDC_CLIENT_SECRET", TOKEN, "oidc_client_secret", TOKEN),
    ("OIDC_OPERATORS", "Ada@example.com, Support ,", "oidc_operators", ("ada@example.com", "Support")),
    ("OIDC_VIEWERS", "staff", "oidc_viewers", ("staff",)),
    ("OIDC_GROUPS_CLAIM", "roles", "oidc_groups_claim", "roles"),
    ("PUBLIC_URL", "https://Desk.Example.com:443/", "public_url", "https://desk.example.com"),
    ("TRUSTED_PROXIES", "1", "trusted_proxies", 1),
    ("RETRY_FIRST", "500ms", "retry_first_ms", 500),
    ("RETRY_LONGEST", "15m", "retry_longest_ms", 900_000),
    ("RETRY_FOR", "72h", "retry_for_ms", 259_200_000),
    ("PROBE_FIRST", "2s", "probe_first_ms", 2_000),
    ("PROBE_LONGEST", "1m", "probe_longest_ms", 60_000),
    ("KEEP_CREATED", "90 d", "keep_created_ms", 7_776_000_000),
    ("METRICS_TOKEN", TOKEN, "metrics_token", TOKEN),
    ("METRICS_OPEN", "yes", "metrics_open", True),
    ("LOG_FORMAT", "JSON", "log_format", LogFormat.JSON),
    ("LOG_LEVEL", "Debug", "log_level", "debug"),
    ("SENTRY_DSN", "https://hunter2@sentry.example/1", "sentry_dsn", "https://hunter2@sentry.example/1"),
    ("SENTRY_ENVIRONMENT", "staging", "sentry_environment", "staging"),
    ("WEB_THREADS", "16", "web_threads", 16),
]
NAMES = [name for name, *_ in VARIABLES]

#: variable, what cannot stand there, what is said about it
MISTAKES = [
    ("LIVEDESK_INBOX_ID", "0", "must be a whole number above 0"),
    ("LIVEDESK_INBOX_ID", "-1", "must be a whole number above 0"),
    ("LIVEDESK_INBOX_ID", "４", "must be a whole number above 0"),
    ("LIVEDESK_BASE_URL", "livedesk-api.engagelab.com", "must be a URL that starts with http:// or https://"),
    ("LIVEDESK_BASE_URL", "ftp://example.com", "must be a URL that starts with http:// or https://"),
    ("LIVEDESK_BASE_URL", "https://", "must be a URL that starts with http:// or https://"),
    ("LIVEDESK_BASE_URL", "https://[::1", "must be a URL"),
    *[
        (
            "LIVEDESK_BASE_URL",
            f"https://{text}",
            "must not contain a user or password: set LIVEDESK_API_KEY and LIVEDESK_API_SECRET",
        )
        for text in ("hunter2:pw@livedesk.example", "hunter2@livedesk.example/path", "@livedesk.example")
    ],
    *[
        (
            "LIVEDESK_BASE_URL",
            f"https://livedesk.example{text}",
            "must not contain ? or #: it is the address of the API, to which paths are added",
        )
        for text in ("?x=1", "/path?", "#frag", "/#", "/path/?x=hunter2")
    ],
    ("LIVEDESK_CA_BUNDLE", "/no/such/file", "names a file or folder that cannot be read (FileNotFoundError)"),
    ("LIVEDESK_CA_BUNDLE", __file__, "names a file without a certificate in PEM format"),
    (
        "LIVEDESK_CA_BUNDLE",
        str(Path(__file__).parent),
        "names a folder without certificates: run `openssl rehash` in it",
    ),
    ("LIVEDESK_RATE", "0", "must be a number above 0, such as 10 or 0.5"),
    ("LIVEDESK_RATE", "ten", "must be a number above 0, such as 10 or 0.5"),
    ("LIVEDESK_TIMEOUT", "soon", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("LIVEDESK_TIMEOUT", "0", "must be longer than zero"),
    ("LIVEDESK_TIMEOUT", "-5s", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("LIVEDESK_TIMEOUT", "5 weeks", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("LIVEDESK_SETTLE", "1e3", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("LIVEDESK_ADOPT", "maybe", "must be yes or no"),
    ("REDIS_URL", "127.0.0.1:6379", MUST_START),
    ("REDIS_URL", "redis://127.0.0.1:port/0", "must name each host as host or host:port, with a port from 1 to 65535"),
    ("ACK", "quorum", "must be one of memory, aof, fsync, replica"),
    ("ACCEPT_TIMEOUT", "x", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("MAX_BACKLOG", "0", "must be a whole number above 0"),
    ("MAX_MEMORY", "0", "must be a fraction such as 0.8 or 80%"),
    ("MAX_MEMORY", "120%", "must be a fraction such as 0.8 or 80%"),
    ("LIVEDESK_BASE_URL", "https://127.0.0.1:99999", "must be a URL"),
    ("API_TOKEN", "short", "must have at least 16 characters"),
    ("DASHBOARD_PASSWORD", "too short", "must have at least 12 characters"),
    ("DASHBOARD_VIEWER_PASSWORD", "too short", "must have at least 12 characters"),
    ("OIDC_ISSUER", "login.example", "must be a URL that starts with http:// or https://"),
    ("TRUSTED_PROXIES", "-1", "must be a number from 0 to 9"),
    ("TRUSTED_PROXIES", "yes", "must be a number from 0 to 9"),
    ("RETRY_FIRST", "x", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("RETRY_LONGEST", "x", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("RETRY_FOR", "x", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("KEEP_CREATED", "x", "must be a duration such as 30s, 15m, 72h or 90d"),
    ("METRICS_TOKEN", "short", "must have at least 16 characters"),
    ("LOG_FORMAT", "xml", "must be one of logfmt, json"),
    ("LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
    ("WEB_THREADS", "many", "must be a whole number above 0"),
    ("SENTRY_DSN", "hunter2", "must be a URL that starts with http:// or https://"),
]


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_only_letters_of_ascii_become_lower_case() -> None:
    settings = load_settings({**NEEDED, "OIDC_OPERATORS": "\u212aim@Example.com, KIM@example.com"})
    assert settings.oidc_operators == ("\u212aim@example.com", "kim@example.com")


def test_every_setting_is_in_the_table_above() -> None:
    assert [setting for _, _, setting, _ in VARIABLES] == [field.name for field in fields(Settings)]


@pytest.mark.parametrize(("name", "text", "setting", "value"), VARIABLES)
def test_a_variable_is_read(name: str, text: str, setting: str, value: object) -> None:
    assert getattr(load_settings({**NEEDED, name: text}), setting) == value


@pytest.mark.parametrize(("name", "text", "setting", "value"), VARIABLES)
def test_a_variable_may_be_in_a_file(name: str, text: str, setting: str, value: object, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{text}\n")
    environ = {key: needed for key, needed in NEEDED.items() if key != name}
    assert getattr(load_settings({**environ, f"{name}_FILE": str(file)}), setting) == value


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_and_its_file_are_one_too_many(name: str, tmp_path: Path) -> None:
    environ = {**NEEDED, name: TOKEN, f"{name}_FILE": str(tmp_path / "secret")}
    assert problems_of(environ) == [f"{name} and {name}_FILE are both set: remove one."]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_cannot_be_read_is_named_by_its_variable(name: str, tmp_path: Path) -> None:
    environ = {key: needed for key, needed in NEEDED.items() if key != name}
    environ[f"{name}_FILE"] = str(tmp_path / "nothing here")
    assert problems_of(environ) == [f"{name}_FILE names a file that cannot be read (FileNotFoundError)."]


def test_a_file_must_be_text(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xff\xfe")
    assert problems_of({**NEEDED, "API_TOKEN_FILE": str(file)}) == [
        "API_TOKEN_FILE names a file that cannot be read (UnicodeDecodeError)."
    ]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NEEDED])
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_an_empty_variable_counts_as_not_given(name: str, suffix: str) -> None:
    assert load_settings({**NEEDED, f"{name}{suffix}": " "}) == load_settings(NEEDED)


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("text", ["", "  "])
def test_what_is_needed_must_be_there(name: str, text: str) -> None:
    assert problems_of({**NEEDED, name: text}) == [f"{name} is not set: set it, or {name}_FILE."]


def test_without_anything_else_the_defaults_hold() -> None:
    settings = load_settings(NEEDED)
    assert settings == Settings(livedesk_api_key="key", livedesk_api_secret="hunter2")
    assert settings.livedesk_base_url == "https://livedesk-api.engagelab.com"
    assert (settings.livedesk_timeout_s, settings.livedesk_settle_ms) == (30.0, 60_000)
    assert (settings.retry_for_ms, settings.keep_created_ms) == (72 * 3_600_000, 90 * 86_400_000)
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert (settings.api_token, settings.webhook_secret, settings.sentry_dsn) == (None, None, None)


@pytest.mark.parametrize(("name", "text", "says"), MISTAKES)
def test_a_mistake_is_one_sentence_without_the_value(name: str, text: str, says: str) -> None:
    assert problems_of({**NEEDED, name: text}) == [f"{name} {says}."]


def test_an_address_may_have_a_path() -> None:
    settings = load_settings({**NEEDED, "LIVEDESK_BASE_URL": "https://proxy.example/livedesk/"})
    assert settings.livedesk_base_url == "https://proxy.example/livedesk"


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_authorities_of_other_programs_count(name: str, tmp_path: Path) -> None:
    (other := tmp_path / "other.pem").write_bytes(Path(certifi.where()).read_bytes())
    assert load_settings({**NEEDED, name: str(other)}).livedesk_ca_bundle == other
    ours = {"LIVEDESK_CA_BUNDLE": certifi.where(), name: "/no/such/file"}
    assert load_settings({**NEEDED, **ours}).livedesk_ca_bundle == Path(certifi.where())
    problem = f"{name} names a file or folder that cannot be read (FileNotFoundError)."
    assert problems_of({**NEEDED, name: "/no/such/file"}) == [problem]


@pytest.mark.parametrize(
    ("text", "public_url"),
    [
        ("https://desk.example.com", "https://desk.example.com"),
        ("https://desk.example.com:8443", "https://desk.example.com:8443"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://desk.example.com/sync", "must not have a path"),
        ("https://desk.example.com/?a=b", "must not have a path"),
        ("https://desk.example.com#top", "must not have a path"),
        ("https://ada:hunter2@desk.example.com", "must be a URL with a host"),
        ("https://desk example.com", "must be a URL with a host"),
        ("https://b\u00fcro.example", "must be a URL with a host"),
        ("https://.example.com", "must be a URL with a host"),
        ("desk.example.com", "must be a URL that starts with"),
        ("ftp://desk.example.com", "must be a URL that starts with"),
        ("https://desk.example.com:x", "must be a URL"),
    ],
)
def test_the_public_url_is_a_host_and_perhaps_a_port(text: str, public_url: str) -> None:
    if not public_url.startswith("must"):
        assert load_settings({**NEEDED, "PUBLIC_URL": text}).public_url == public_url
    else:
        (problem,) = problems_of({**NEEDED, "PUBLIC_URL": text})
        assert problem.startswith(f"PUBLIC_URL {public_url}")


@pytest.mark.parametrize("name", ["LIVEDESK_BASE_URL", "OIDC_ISSUER", "SENTRY_DSN", "PUBLIC_URL"])
@pytest.mark.parametrize(
    "host", ["livedesk.example.com", "8.8.8.8", "[2001:4860:4860::8888]", "134744072", "10.0.0.1.nip.io"]
)
def test_secrets_are_not_sent_to_public_hosts_without_tls(name: str, host: str) -> None:
    (problem,) = problems_of({**NEEDED, name: f"http://{host}"})
    assert problem.startswith(f"{name} must start with https://")
    assert host not in problem
    load_settings({**NEEDED, name: f"http://{host}", "ALLOW_HTTP": "yes"})
    load_settings({**NEEDED, name: f"https://{host}"})


@pytest.mark.parametrize(
    ("host", "is_outside"),
    [
        *(("localhost", False), ("a.localhost", False), ("livedesk", False), ("LiveDesk.Internal.", False)),
        *(("127.0.0.1", False), ("127.1", False), ("2130706433", False), ("0x7f.1", False), ("10.1.2.3", False)),
        *(("192.168.1.1", False), ("172.16.0.1", False), ("169.254.1.1", False), ("::1", False), ("fd00::1", False)),
        *(("fe80::1%eth0", False), ("::ffff:10.0.0.1", False), ("100.64.0.1", False), ("sync.tools.svc", False)),
        *(("172.32.0.1", True), ("0x08080808", True), ("::ffff:8.8.8.8", True), ("2606:4700::1111", True)),
        *(("example.com", True), ("local", False), ("notlocal.com", True), ("internal.example", True)),
        *(("example\u3002com", True), ("\uff11\uff12\uff17.0.0.1", True), ("loca\u017fhost", True)),
    ],
)
def test_public_hosts(host: str, is_outside: bool) -> None:
    assert is_public(host) is is_outside


#: the environment, and the proxy for the default address
PROXIES: list[tuple[dict[str, str], dict[str, str]]] = [
    ({}, {}),
    ({"HTTPS_PROXY": "http://proxy:3128"}, {"https": "http://proxy:3128"}),
    ({"https_proxy": "http://one:1", "HTTPS_PROXY": "http://two:2"}, {"https": "http://one:1"}),
    ({"https_proxy": "", "HTTPS_PROXY": "http://two:2"}, {}),
    ({"ALL_PROXY": "https://user:hunter2@proxy"}, {"https": "https://user:hunter2@proxy"}),
    ({"HTTPS_PROXY": "http://one:1", "ALL_PROXY": "http://two:2"}, {"https": "http://one:1"}),
    ({"HTTPS_PROXY": "proxy:3128"}, {"https": "proxy:3128"}),
    ({"HTTP_PROXY": "http://proxy:3128"}, {}),
    ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "*"}, {}),
    ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "localhost, .engagelab.com"}, {}),
    ({"HTTPS_PROXY": "http://proxy", "no_proxy": "livedesk-api.engagelab.com"}, {}),
    ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "lab.com"}, {"https": "http://proxy"}),
]


@pytest.mark.parametrize(("environ", "proxies"), PROXIES)
def test_the_proxy_is_the_one_that_requests_would_use(environ: dict[str, str], proxies: dict[str, str]) -> None:
    assert read_proxies("https://livedesk-api.engagelab.com", environ) == proxies


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("HTTPS_PROXY", "socks5h://user:hunter2@proxy:1080", "names a SOCKS proxy, which needs PySocks"),
        ("ALL_PROXY", "socks5://proxy", "names a SOCKS proxy, which needs PySocks"),
        ("all_proxy", "socks4a://proxy", "names a SOCKS proxy, which needs PySocks"),
        ("HTTPS_PROXY", "ftp://hunter2@proxy", "must start with http://, https:// or socks5h://"),
        ("HTTPS_PROXY", "http://user:hunter2@:3128", "must be the URL of a proxy"),
        ("HTTPS_PROXY", "http://proxy:hunter2", "must be the URL of a proxy"),
        ("HTTPS_PROXY", "http://[hunter2", "must be the URL of a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_mistake(name: str, text: str, says: str) -> None:
    (problem,) = problems_of({**NEEDED, name: text})
    assert problem.startswith(f"{name.upper()} {says}")
    assert "hunter2" not in problem
    assert load_settings({**NEEDED, name: text, "NO_PROXY": "*"}).livedesk_api_key == "key", "it is not used"


def test_all_mistakes_are_reported_at_once() -> None:
    environ = {"LIVEDESK_INBOX_ID": "x", "LIVEDESK_TIMEOUT": "x", "REDIS_URL": "x", "API_TOKEN": "x"}
    told = problems_of(environ)
    assert [problem.split()[0] for problem in told] == [
        "LIVEDESK_API_KEY",
        "LIVEDESK_API_SECRET",
        "LIVEDESK_INBOX_ID",
        "LIVEDESK_TIMEOUT",
        "REDIS_URL",
        "API_TOKEN",
    ]


def test_the_documentation_describes_every_setting_as_the_table_does() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.*) \|$", page, re.MULTILINE)
    documented = {name: (default.strip("`") or None, meaning) for name, default, meaning in rows}
    for setting in SETTINGS.values():
        default = "required" if setting.is_required else setting.default or None
        assert documented[setting.name] == (default, setting.meaning)


SECRETS = st.text(max_size=20).map(lambda text: f"hunter2{text}") | st.tuples(
    st.sampled_from(["redis://:hunter2@", "https://hunter2@", "https://[hunter2", "whsec_hunter2 "]),
    st.text(max_size=20),
).map("".join)


@given(st.dictionaries(st.sampled_from(NAMES), SECRETS))
@example({"REDIS_URL": "redis://:hunter2@h\u2100st"})
@example({"SENTRY_DSN": "https://hunter2@h\u2100st/1"})
def test_no_message_contains_a_value(environ: dict[str, str]) -> None:
    error = error_of({**NEEDED, **environ})
    assert "hunter2" not in str(error)
    assert getattr(error, "__context__", None) is None, "nor does it carry an error along that does"


def error_of(environ: dict[str, str]) -> SettingsError | None:
    try:
        load_settings(environ)
    except SettingsError as error:
        return error
    return None


@pytest.mark.parametrize(
    "name",
    [
        *("LIVEDESK_API_KEY", "LIVEDESK_API_SECRET", "REDIS_URL", "WEBHOOK_SECRET", "API_TOKEN", "SENTRY_DSN"),
        *("DASHBOARD_PASSWORD", "DASHBOARD_VIEWER_PASSWORD", "OIDC_CLIENT_SECRET"),
    ],
)
def test_a_secret_is_not_in_the_repr(name: str) -> None:
    text = {"REDIS_URL": "redis://:hunter3@localhost", "SENTRY_DSN": "https://hunter3@sentry.example/1"}
    settings = load_settings({**NEEDED, name: text.get(name, "hunter3-hunter3-hunter3")})
    assert "hunter3" not in repr(settings)
    assert "hunter3" not in str(settings)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        load_settings(NEEDED).livedesk_adopt = False  # type: ignore[misc]


def test_the_process_s_own_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    for name in (*CA_BUNDLE_VARIABLES, "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**NEEDED, "LIVEDESK_INBOX_ID": "407"}.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == load_settings({**NEEDED, "LIVEDESK_INBOX_ID": "407"})
