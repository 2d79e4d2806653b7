"""The settings, read once at startup from the environment.

No other module reads the environment. Each setting is described once: variable, parser, default and meaning.
``docs/configuration.md`` and ``.env.example`` repeat that, and a test compares them. Every variable ``NAME`` can also
be given as ``NAME_FILE``, the path of a file with the value (a Docker or Kubernetes secret). All mistakes are reported
at once.
"""

# ruff: noqa: RUF009 - the calls in the dataclass make its fields

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from worker.characters import lower_ascii
from worker.durations import parse_duration
from worker.errors import SettingsError
from worker.model import Ack, LogFormat, Requirements, UpstreamPolicy
from worker.outbound import CA_BUNDLE_VARIABLES, is_public, parse_ca_bundle, read_proxies
from worker.retry import RetryPolicy
from worker.store.address import parse_address

#: Exit status of a process whose settings have mistakes (sysexits.h).
EX_CONFIG = 78

T = TypeVar("T")


def parse_seconds(text: str) -> float:
    return parse_duration(text) / 1000


def parse_positive(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise ValueError("must be a whole number above 0")
    return int(text)


def parse_rate(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", text) or float(text) == 0:
        raise ValueError("must be a number above 0, such as 10 or 0.5")
    return float(text)


def parse_fraction(text: str) -> float:
    """``0.8`` or ``80%``."""
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*(%)?", text)
    fraction = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < fraction <= 1:
        raise ValueError("must be a fraction such as 0.8 or 80%")
    return fraction


def parse_digit(text: str) -> int:
    if not re.fullmatch(r"[0-9]", text):
        raise ValueError("must be a number from 0 to 9")
    return int(text)


def parse_yes_no(text: str) -> bool:
    if text.lower() in ("yes", "true", "on", "1"):
        return True
    if text.lower() in ("no", "false", "off", "0"):
        return False
    raise ValueError("must be yes or no")


def parse_people(text: str) -> tuple[str, ...]:
    """E-mail addresses, case-insensitive, and names of groups, comma-separated."""
    names = [name.strip() for name in text.split(",")]
    return tuple(lower_ascii(name) if "@" in name else name for name in names if name)


def parse_http_url(text: str) -> str:
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL that starts with http:// or https://")
    return text.rstrip("/")


def parse_livedesk_url(text: str) -> str:
    parts = _split(url := parse_http_url(text))
    if "@" in parts.netloc:
        raise ValueError("must not contain a user or password: set LIVEDESK_API_KEY and LIVEDESK_API_SECRET")
    if "?" in url or "#" in url:
        raise ValueError("must not contain ? or #: it is the address of the API, to which paths are added")
    return url


def parse_public_url(text: str) -> str:
    """Return the scheme, host and port that people and senders use."""
    parts = _split(parse_http_url(text).lower())
    if not re.fullmatch(r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", parts.netloc):
        raise ValueError("must be a URL with a host and perhaps a port, such as https://desk.example.com")
    if parts.path or "?" in text or "#" in text:
        raise ValueError("must not have a path: the dashboard is at /dashboard of that host, deliveries at /webhooks")
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(default)}"


def parse_redis_url(text: str) -> str:
    parse_address(text)
    return text


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # validated only when read
        return parts
    except ValueError:
        raise ValueError("must be a URL") from None  # the library's message may quote it, including a password


def choice(*options: T) -> Callable[[str], T]:
    """Return a parser for the names of these options, case-insensitive."""
    by_name = {str(option): option for option in options}

    def parse(text: str) -> T:
        if text.lower() not in by_name:
            raise ValueError(f"must be one of {', '.join(by_name)}")
        return by_name[text.lower()]

    return parse


def at_least(length: int) -> Callable[[str], str]:
    """Return a parser for a secret of at least this many characters."""

    def parse(text: str) -> str:
        if len(text) < length:
            raise ValueError(f"must have at least {length} characters")
        return text

    return parse


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as documented; ``default`` is text as in the environment."""

    name: str
    parse: Callable[[str], object]
    default: str | None
    meaning: str
    is_required: bool = False
    #: Variables of other programs, read in this order where this one is not set.
    others: tuple[str, ...] = ()


def _setting(
    name: str,
    parse: Callable[[str], object],
    default: str | None,
    meaning: str,
    *,
    secret: bool = False,
    others: tuple[str, ...] = (),
) -> Any:
    value = None if default is None else parse(default)
    setting = Setting(name, parse, default, meaning, others=others)
    return field(default=value, repr=not secret, metadata={"setting": setting})


def _required(name: str, meaning: str) -> Any:
    return field(repr=False, metadata={"setting": Setting(name, str, None, meaning, is_required=True)})


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Settings:
    """The configuration; its ``repr`` contains no secrets and no personal data."""

    livedesk_api_key: str = _required("LIVEDESK_API_KEY", "API key")
    livedesk_api_secret: str = _required("LIVEDESK_API_SECRET", "API secret")
    livedesk_inbox_id: int | None = _setting("LIVEDESK_INBOX_ID", parse_positive, None,
        "inbox for new contacts; required unless every source names its own")
    livedesk_base_url: str = _setting("LIVEDESK_BASE_URL", parse_livedesk_url, "https://livedesk-api.engagelab.com",
        "address of the API")
    livedesk_ca_bundle: Path | None = _setting("LIVEDESK_CA_BUNDLE", parse_ca_bundle, None,
        "authorities to trust instead of the public ones: a PEM file or a folder",
        others=CA_BUNDLE_VARIABLES)
    allow_http: bool = _setting("ALLOW_HTTP", parse_yes_no, "no",
        "allow `http://` to public hosts, where others can read secrets (yes or no)")
    livedesk_rate: float = _setting("LIVEDESK_RATE", parse_rate, "10",
        "requests per second, over all workers on all hosts")
    livedesk_look_ups_per_minute: float = _setting("LIVEDESK_LOOK_UPS", parse_rate, "100",
        "look-ups per minute; LiveDesk limits these separately")
    livedesk_timeout_s: float = _setting("LIVEDESK_TIMEOUT", parse_seconds, "30s",
        "how long to wait for an answer; the connect timeout is 5 s")
    livedesk_settle_ms: int = _setting("LIVEDESK_SETTLE", parse_duration, "60s",
        "wait after an unanswered create before another one may be sent")
    livedesk_adopt: bool = _setting("LIVEDESK_ADOPT", parse_yes_no, "yes",
        "adopt a contact that has the e-mail and no identifier (yes or no)")
    redis_url: str = _setting("REDIS_URL", parse_redis_url, "redis://127.0.0.1:6379/0",
        "where Redis is: see [below](#addresses-of-redis)", secret=True)
    ack: Ack | None = _setting("ACK", choice(*Ack), None,
        "required before a 200: `memory`, `aof`, `fsync` or `replica`")
    accept_timeout_s: float = _setting("ACCEPT_TIMEOUT", parse_seconds, "8s",
        "how long a delivery waits for a slow Redis before the answer is 503")
    body_timeout_s: float = _setting("BODY_TIMEOUT", parse_seconds, "10s",
        "how long a client may take to send a body before the answer is 408")
    max_backlog: int = _setting("MAX_BACKLOG", parse_positive, "1000000",
        "number of open contacts at which new ones are rejected with 503")
    max_memory: float = _setting("MAX_MEMORY", parse_fraction, "0.8",
        "the same, as a fraction of Redis's memory (`0.8` or `80%`)")
    sources_file: Path = _setting("SOURCES_FILE", Path, "sources.toml",
        "the file that lists the senders you accept")
    webhook_secret: str | None = _setting("WEBHOOK_SECRET", str, None,
        "creates the source `signup`, if there is no sources file", secret=True)
    api_token: str | None = _setting("API_TOKEN", at_least(16), None,
        "bearer token for the API; at least 16 characters", secret=True)
    dashboard_password: str | None = _setting("DASHBOARD_PASSWORD", at_least(12), None,
        "password of operators; at least 12 characters", secret=True)
    dashboard_viewer_password: str | None = _setting("DASHBOARD_VIEWER_PASSWORD", at_least(12), None,
        "password of viewers; at least 12 characters, a different one", secret=True)
    oidc_issuer: str | None = _setting("OIDC_ISSUER", parse_http_url, None,
        "issuer URL of your OpenID Connect provider")
    oidc_client_id: str | None = _setting("OIDC_CLIENT_ID", str, None, "client id that the provider gave you")
    oidc_client_secret: str | None = _setting("OIDC_CLIENT_SECRET", str, None,
        "client secret that the provider gave you", secret=True)
    oidc_operators: tuple[str, ...] = _setting("OIDC_OPERATORS", parse_people, "",
        "operators: verified e-mail addresses and groups, comma-separated", secret=True)
    oidc_viewers: tuple[str, ...] = _setting("OIDC_VIEWERS", parse_people, "",
        "viewers, in the same form", secret=True)
    oidc_groups_claim: str = _setting("OIDC_GROUPS_CLAIM", str, "groups", "the claim that lists a person's groups")
    public_url: str | None = _setting("PUBLIC_URL", parse_public_url, None,
        "address that people and senders use, such as `https://desk.example.com`")
    trusted_proxies: int = _setting("TRUSTED_PROXIES", parse_digit, "0",
        "number of proxies in front of `bin/web` that set `X-Forwarded-*`")
    retry_first_ms: int = _setting("RETRY_FIRST", parse_duration, "5s", "first wait between two attempts")
    retry_longest_ms: int = _setting("RETRY_LONGEST", parse_duration, "15m", "longest wait between two attempts")
    retry_for_ms: int = _setting("RETRY_FOR", parse_duration, "72h",
        "total retry time before a contact is marked `failed`")
    probe_first_ms: int = _setting("PROBE_FIRST", parse_duration, "1s",
        "first wait before LiveDesk is probed after a stop")
    probe_longest_ms: int = _setting("PROBE_LONGEST", parse_duration, "10s", "longest wait between two probes")
    keep_created_ms: int = _setting("KEEP_CREATED", parse_duration, "90d",
        "how long a created contact is remembered, to recognise duplicates")
    metrics_token: str | None = _setting("METRICS_TOKEN", at_least(16), None,
        "bearer token for `/metrics` and all of `/readyz`, at least 16 characters", secret=True)
    metrics_open: bool = _setting("METRICS_OPEN", parse_yes_no, "no",
        "show them to everybody who reaches the port (yes or no)")
    log_format: LogFormat = _setting("LOG_FORMAT", choice(*LogFormat), "logfmt",
        "one line per event, as `logfmt` or `json`")
    log_level: str = _setting("LOG_LEVEL", choice("debug", "info", "warning", "error"), "info",
        "`debug`, `info`, `warning` or `error`; `debug` logs accepted deliveries too")
    sentry_dsn: str | None = _setting("SENTRY_DSN", parse_http_url, None,
        "reports bugs, new causes and stops to Sentry, without personal data", secret=True)
    sentry_environment: str | None = _setting("SENTRY_ENVIRONMENT", str, None, "name of the environment in Sentry")
    web_threads: int = _setting("WEB_THREADS", parse_positive, "64",
        "threads of each receiver process: for pages, API, large deliveries")
    # fmt: on

    @property
    def threads_that_may_wait(self) -> int:
        """How many threads of a receiver may wait for a Redis that stalls."""
        return max(1, self.web_threads - min(4, self.web_threads // 4))

    @property
    def upstream(self) -> UpstreamPolicy:
        return UpstreamPolicy(
            self.livedesk_rate,
            self.livedesk_look_ups_per_minute,
            self.probe_first_ms,
            self.probe_longest_ms,
            self.livedesk_inbox_id,
        )

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(self.retry_first_ms, self.retry_longest_ms, self.retry_for_ms)

    @property
    def requirements(self) -> Requirements:
        """What must be true before a delivery is accepted."""
        return Requirements(self.ack, self.max_memory, self.max_backlog)


#: Settings with the addresses that passwords, keys and personal data are sent to.
CONFIDENTIAL = ("livedesk_base_url", "oidc_issuer", "public_url", "sentry_dsn")
#: Every setting by its name in ``Settings``, in the order of the documentation.
SETTINGS: dict[str, Setting] = {each.name: each.metadata["setting"] for each in fields(Settings)}


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in ``environ``, by default the environment of this process.

    Raises:
        SettingsError: one sentence for each mistake, none of which repeats a value.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field_name, setting in SETTINGS.items():
        try:
            text = read_variable(setting.name, environ)
            name = setting.name
            if text is None:
                name, text = _other(setting, environ)
            if text is not None:
                values[field_name] = _parse(setting, name, text)
            elif setting.is_required:
                problems.append(f"{missing(setting.name)}.")
        except ValueError as error:
            problems.append(f"{error}.")
    problems += _unencrypted(values)
    try:
        read_proxies(values.get("livedesk_base_url", Settings.livedesk_base_url), environ)
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(problems)
    return Settings(**values)


def _unencrypted(values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each URL that would carry secrets through the internet."""
    if values.get("allow_http"):
        return []
    urls = {SETTINGS[name].name: urlsplit(values.get(name) or "") for name in CONFIDENTIAL}
    return [
        f"{name} must start with https://, because its host is public and secrets are sent to it. "
        "ALLOW_HTTP=yes allows http:// all the same."
        for name, url in urls.items()
        if url.scheme == "http" and is_public(url.hostname or "")
    ]


def load_proxies(url: str) -> dict[str, str]:
    """Return the proxy for this address that the environment of this process names."""
    return read_proxies(url, os.environ)


def load_ca_bundle() -> Path | None:
    """Return the certificate authorities that the environment of this process names.

    Raises:
        SettingsError: they cannot be used.
    """
    setting = SETTINGS["livedesk_ca_bundle"]
    try:
        text = read_variable(setting.name, os.environ) or _other(setting, os.environ)[1]
        return None if text is None else parse_ca_bundle(text)
    except ValueError as error:
        raise SettingsError([f"The certificate authorities to trust: {error}."]) from None


def read_variable(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the value of ``NAME``, or the content of the file ``NAME_FILE``.

    Raises:
        ValueError: both are set, or the file cannot be read.
    """
    value, path = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "").strip()
    if value and path:
        raise ValueError(f"{name} and {name}_FILE are both set: remove one")
    if not path:
        return value or None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}_FILE names a file that cannot be read ({type(error).__name__})") from None


def missing(name: str) -> str:
    """The sentence about a required variable that is empty, without its full stop."""
    return f"{name} is not set: set it, or {name}_FILE"


def _other(setting: Setting, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the first variable of another program that is set, and its value."""
    for name in setting.others:
        if text := environ.get(name, "").strip():
            return name, text
    return setting.name, None


def _parse(setting: Setting, name: str, text: str) -> object:
    try:
        return setting.parse(text)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
