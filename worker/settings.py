"""One frozen ``Settings``, read once at start. Nothing else reads the environment.

Every variable ``NAME`` may also be given as ``NAME_FILE``, the path of a file that holds the value (the way of Docker
and Kubernetes secrets). All mistakes are reported at once.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from worker.durations import parse_duration
from worker.errors import SettingsError
from worker.model import Ack, LogFormat, Requirements
from worker.store.address import is_sentinel, parse_sentinel
from worker.store.upstream import UpstreamPolicy

LOG_LEVELS = ("debug", "info", "warning", "error")
REDIS_SCHEMES = ("redis", "rediss", "unix")

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says. Times are in the unit that the name ends with; secrets stay out of ``repr``."""

    livedesk_api_key: str = field(repr=False)
    livedesk_api_secret: str = field(repr=False)
    livedesk_inbox_id: int | None = None
    livedesk_base_url: str = "https://livedesk-api.engagelab.com"
    livedesk_rate: float = 10.0
    livedesk_look_ups_per_minute: float = 100.0
    livedesk_timeout_s: float = 30.0
    livedesk_settle_ms: int = 60_000
    livedesk_adopt: bool = True
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    ack: Ack | None = None
    backlog_most: int = Requirements().backlog_most
    memory_most: float = Requirements().memory_most
    sources_file: Path = Path("sources.toml")
    webhook_secret: str | None = field(default=None, repr=False)
    api_token: str | None = field(default=None, repr=False)
    dashboard_password: str | None = field(default=None, repr=False)
    dashboard_viewer_password: str | None = field(default=None, repr=False)
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = field(default=None, repr=False)
    oidc_operators: tuple[str, ...] = field(default=(), repr=False)
    oidc_viewers: tuple[str, ...] = field(default=(), repr=False)
    oidc_groups_claim: str = "groups"
    trusted_proxies: int = 0
    retry_first_ms: int = 5_000
    retry_longest_ms: int = 900_000
    retry_for_ms: int = 72 * 3_600_000
    probe_first_ms: int = 5_000
    probe_longest_ms: int = 300_000
    keep_created_ms: int = 90 * 86_400_000
    metrics_token: str | None = field(default=None, repr=False)
    log_format: LogFormat = LogFormat.LOGFMT
    log_level: str = "info"
    sentry_dsn: str | None = field(default=None, repr=False)
    sentry_environment: str | None = None

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
    def demands(self) -> Requirements:
        """What must hold for a delivery to be taken."""
        return Requirements(self.ack, self.memory_most, self.backlog_most)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in ``environ`` (the process's own by default).

    Raises:
        SettingsError: with one sentence for each mistake, none of which repeats a value that may be secret.
    """
    reader = _Reader(os.environ if environ is None else environ)
    settings = Settings(
        livedesk_api_key=reader.required("LIVEDESK_API_KEY"),
        livedesk_api_secret=reader.required("LIVEDESK_API_SECRET"),
        livedesk_inbox_id=reader.optional("LIVEDESK_INBOX_ID", _positive_int, None),
        livedesk_base_url=reader.optional("LIVEDESK_BASE_URL", _http_url, Settings.livedesk_base_url),
        livedesk_rate=reader.optional("LIVEDESK_RATE", _rate, Settings.livedesk_rate),
        livedesk_look_ups_per_minute=reader.optional("LIVEDESK_LOOK_UPS", _rate, Settings.livedesk_look_ups_per_minute),
        livedesk_timeout_s=reader.optional("LIVEDESK_TIMEOUT", parse_duration, 30_000) / 1000,
        livedesk_settle_ms=reader.optional("LIVEDESK_SETTLE", parse_duration, Settings.livedesk_settle_ms),
        livedesk_adopt=reader.optional("LIVEDESK_ADOPT", _yes_no, True),
        redis_url=reader.optional("REDIS_URL", _redis_url, "redis://127.0.0.1:6379/0"),
        ack=reader.optional("ACK", _ack, None),
        backlog_most=reader.optional("BACKLOG_MOST", _positive_int, Settings.backlog_most),
        memory_most=reader.optional("MEMORY_MOST", _share, Settings.memory_most),
        sources_file=reader.optional("SOURCES_FILE", Path, Path("sources.toml")),
        webhook_secret=reader.optional("WEBHOOK_SECRET", str, None),
        api_token=reader.optional("API_TOKEN", _token, None),
        dashboard_password=reader.optional("DASHBOARD_PASSWORD", _password, None),
        dashboard_viewer_password=reader.optional("DASHBOARD_VIEWER_PASSWORD", _password, None),
        oidc_issuer=reader.optional("OIDC_ISSUER", _http_url, None),
        oidc_client_id=reader.optional("OIDC_CLIENT_ID", str, None),
        oidc_client_secret=reader.optional("OIDC_CLIENT_SECRET", str, None),
        oidc_operators=reader.optional("OIDC_OPERATORS", _people, ()),
        oidc_viewers=reader.optional("OIDC_VIEWERS", _people, ()),
        oidc_groups_claim=reader.optional("OIDC_GROUPS_CLAIM", str, Settings.oidc_groups_claim),
        trusted_proxies=reader.optional("TRUSTED_PROXIES", _few, 0),
        retry_first_ms=reader.optional("RETRY_FIRST", parse_duration, Settings.retry_first_ms),
        retry_longest_ms=reader.optional("RETRY_LONGEST", parse_duration, Settings.retry_longest_ms),
        retry_for_ms=reader.optional("RETRY_FOR", parse_duration, Settings.retry_for_ms),
        probe_first_ms=reader.optional("PROBE_FIRST", parse_duration, Settings.probe_first_ms),
        probe_longest_ms=reader.optional("PROBE_LONGEST", parse_duration, Settings.probe_longest_ms),
        keep_created_ms=reader.optional("KEEP_CREATED", parse_duration, Settings.keep_created_ms),
        metrics_token=reader.optional("METRICS_TOKEN", _token, None),
        log_format=reader.optional("LOG_FORMAT", _log_format, Settings.log_format),
        log_level=reader.optional("LOG_LEVEL", _log_level, Settings.log_level),
        sentry_dsn=reader.optional("SENTRY_DSN", _http_url, None),
        sentry_environment=reader.optional("SENTRY_ENVIRONMENT", str, None),
    )
    if reader.problems:
        raise SettingsError(reader.problems)
    return settings


class _Reader:
    """Reads variables one by one and keeps the mistakes for the end."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def required(self, name: str) -> str:
        known = len(self.problems)
        value = self._text(name)
        if value is None and len(self.problems) == known:
            self.problems.append(f"{name} is not set (nor {name}_FILE).")
        return value or ""

    def optional(self, name: str, cast: Callable[[str], T], default: D) -> T | D:
        text = self._text(name)
        if text is None:
            return default
        try:
            return cast(text)
        except ValueError as error:
            self.problems.append(f"{name} {error}.")
            return default

    def _text(self, name: str) -> str | None:
        """The value, stripped; an empty one counts as not given."""
        path = self.environ.get(f"{name}_FILE", "").strip()
        if not path:
            return self.environ.get(name, "").strip() or None
        if self.environ.get(name, "").strip():
            self.problems.append(f"{name} and {name}_FILE are both set; keep one.")
            return None
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{name}_FILE cannot be read: {type(error).__name__}.")
            return None


def _positive_int(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise ValueError("must be a whole number above 0")
    return int(text)


def _rate(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", text) or float(text) == 0:
        raise ValueError("must be a number above 0, such as 10 or 0.5")
    return float(text)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # looked at only when it is asked for
        return parts
    except ValueError:
        raise ValueError("must be an address") from None  # the library's own words may quote it, password and all


def _http_url(text: str) -> str:
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that starts with http:// or https://")
    return text.rstrip("/")


def _redis_url(text: str) -> str:
    if is_sentinel(text):
        parse_sentinel(text)
    elif _split(text).scheme not in REDIS_SCHEMES:
        raise ValueError("must start with redis://, rediss://, unix:// or redis+sentinel://")
    return text


def _ack(text: str) -> Ack:
    try:
        return Ack(text.lower())
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Ack)}") from None


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _log_format(text: str) -> LogFormat:
    try:
        return LogFormat(text.lower())
    except ValueError:
        raise ValueError(f"must be one of {', '.join(LogFormat)}") from None


def _share(text: str) -> float:
    """``0.8`` or ``80%``."""
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*(%)?", text)
    share = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < share <= 1:
        raise ValueError("must be a share such as 0.8 or 80%")
    return share


def _token(text: str) -> str:
    if len(text) < 16:
        raise ValueError("must have at least 16 characters")
    return text


def _password(text: str) -> str:
    if len(text) < 12:
        raise ValueError("must have at least 12 characters")
    return text


def _people(text: str) -> tuple[str, ...]:
    """E-mail addresses, whose case does not matter, and names of groups, with commas between them."""
    names = [name.strip() for name in text.split(",")]
    return tuple(name.lower() if "@" in name else name for name in names if name)


def _few(text: str) -> int:
    if not re.fullmatch(r"[0-9]", text):
        raise ValueError("must be a number from 0 to 9")
    return int(text)


def _yes_no(text: str) -> bool:
    if text.lower() in ("yes", "true", "on", "1"):
        return True
    if text.lower() in ("no", "false", "off", "0"):
        return False
    raise ValueError("must be yes or no")
