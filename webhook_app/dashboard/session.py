"""Sessions: Flask's signed cookie, under ``/dashboard`` only.

Redis lists the sessions that nobody has ended, so that a copy of the cookie is worth nothing after a sign-out. While
Redis is unavailable a signature is enough: pages then show no data, and nothing can be changed.
"""

import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Request, abort, redirect, request, session, url_for
from flask.sessions import NullSession, SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.parts import Parts
from worker.errors import StoreError
from worker.model import Way
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Random bytes of a session's id.
SESSION_ID_BYTES = 16
#: Bytes of the secret that forms send back.
CSRF_BYTES = 24
#: A session ends after this many seconds, even if it is in use: a working day.
SESSION_S = 12 * 3600
#: Where files are that need no session.
STATIC = "/dashboard/static/"
#: Characters of a person's name.
MAX_NAME = 60

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in person; only an identity provider proves ``name``, no password."""

    name: str
    role: Role
    way: Way

    @property
    def is_operator(self) -> bool:
        return self.role is Role.OPERATOR


def needs(role: Role | None) -> Callable[[View], View]:
    """Restrict a view to a role (``None``: everyone). Every view here carries it."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if role is not None:
                user = current_user()
                if user is None:
                    return _sign_in_first()
                if not user.role.covers(role):
                    abort(403)
            return view(*args, **kwargs)

        checked.needed_role = role  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def current_user() -> User | None:
    """Return the person who is signed in, or ``None``."""
    return User(session["name"], Role(session["role"]), Way(session["way"])) if "role" in session else None


def begin(parts: Parts, name: str, role: Role, way: Way) -> None:
    """Start a new session, and end the one that this browser had.

    Raises:
        StoreError: Redis cannot be used, and nobody is signed in.
    """
    session_id = secrets.token_hex(SESSION_ID_BYTES)
    parts.store.sessions.begin(session_id, SESSION_S * 1000, replaces=session.get("id"))
    session.clear()
    name = "".join(letter for letter in name if letter.isprintable()).strip()[:MAX_NAME]
    until = int(parts.clock()) + SESSION_S
    session.update(id=session_id, name=name or role.value, role=role.value, way=way.value, until=until)
    log.info(LogEvent("signed in", role=role))


def end(parts: Parts) -> bool:
    """End the session of this browser; return whether copies of the cookie ended, too."""
    session_id = session.get("id", "")
    session.clear()
    try:
        parts.store.sessions.end(session_id)
    except StoreError as error:
        log.warning(LogEvent("session not ended", error=error))
        return False
    return True


def csrf_token() -> str:
    """Return the session's secret for forms, created when it is first needed.

    It is masked with a random pad, so it differs in every response: responses are compressed, and the length would
    reveal a constant secret bit by bit (the BREACH attack, https://www.breachattack.com).
    """
    if "csrf" not in session:
        session["csrf"] = secrets.token_hex(CSRF_BYTES)
    pad = secrets.token_bytes(CSRF_BYTES)
    return (pad + _xor(pad, bytes.fromhex(session["csrf"]))).hex()


def is_csrf_token(given: str) -> bool:
    """Return whether this is the session's secret, as masked by ``csrf_token``."""
    try:
        masked = bytes.fromhex(given)
    except ValueError:
        return False
    if "csrf" not in session or len(masked) != 2 * CSRF_BYTES:
        return False
    secret = _xor(masked[:CSRF_BYTES], masked[CSRF_BYTES:])
    return hmac.compare_digest(secret, bytes.fromhex(session["csrf"]))


def _xor(pad: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, text, strict=True))


def is_ours(path: str) -> bool:
    """Return whether a request is under ``/dashboard``, found or not."""
    return path == "/dashboard" or path.startswith("/dashboard/")


def local_path(address: str | None) -> str:
    """Return the address if it is one of our pages, else the overview."""
    parts = urlsplit(address or "")
    home = url_for("dashboard.start")
    is_ours = not parts.scheme and not parts.netloc and f"{parts.path}/".startswith(home)
    return f"{parts.path}?{parts.query}".removesuffix("?") if is_ours and "\\" not in parts.path else home


def _sign_in_first() -> Response:
    if request.headers.get("HX-Request"):
        if isinstance(session._get_current_object(), NullSession):  # type: ignore[attr-defined]
            return Response("Redis is unavailable.", 503, content_type="text/plain; charset=utf-8")
        return Response("Please sign in again.", 401, content_type="text/plain; charset=utf-8")
    wanted = request.full_path.removesuffix("?") if request.method == "GET" else None
    return redirect(url_for("dashboard.sign_in", next=wanted), 303)


def init_app(app: Flask) -> None:
    """Make the app's sessions those of the dashboard."""
    parts = Parts.of(app)
    app.config.update(SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_PATH="/")
    app.config.update(PERMANENT_SESSION_LIFETIME=SESSION_S, SESSION_REFRESH_EACH_REQUEST=False)
    app.session_interface = DashboardSessions(parts)


class DashboardSessions(SecureCookieSessionInterface):
    """Sessions signed with a key from the passwords and a secret shared in Redis."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._key: tuple[str, bytes] | None = None
        self._lock = threading.Lock()
        #: The session of requests without one: it cannot be changed.
        self._none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session in the cookie, or an empty one if missing or ended."""
        if not is_ours(request.path):
            return self._none
        session = super().open_session(app, request)
        if session is not None and self._has_ended(session, request.path):
            session.clear()
        return session

    def _has_ended(self, session: SecureCookieSession, path: str) -> bool:
        if "role" not in session or path.startswith(STATIC):
            return False
        if session.get("until", 0) < self.parts.clock():
            return True
        try:
            return not self.parts.store.sessions.is_open(session.get("id", ""))
        except StoreError:
            return False

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return ``None`` (no session) outside the dashboard and without Redis."""
        if not is_ours(request.path) or not self.parts.access.is_open:
            return None
        try:
            key = self._signing_key()
        except StoreError:
            return None
        return URLSafeTimedSerializer(
            key,
            salt="livedesk-sync-dashboard",
            serializer=self.serializer,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def get_cookie_name(self, app: Flask) -> str:
        """Return the name, over TLS with the prefix that binds it to this host."""
        return "__Host-livedesk-sync" if request.is_secure else "livedesk-sync"

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure

    def _signing_key(self) -> bytes:
        salt = self.parts.store.salt().decode()
        with self._lock:
            if self._key is None or self._key[0] != salt:
                self._key = (salt, self.parts.access.signing_key(salt.encode()))
            return self._key[1]
