"""Who is signed in. A session is Flask's signed cookie; there is one on the dashboard's addresses alone."""

import hashlib
import hmac
import logging
import math
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Request, abort, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug import Response

from webhook_app.access import Access, Role
from webhook_app.dashboard.errors import is_ours
from worker.errors import StoreError

if TYPE_CHECKING:
    from webhook_app.parts import Parts

log = logging.getLogger(__name__)

#: Bytes of the secret that forms bring back.
CSRF_BYTES = 24
#: Seconds after which a person signs in again, whatever they did meanwhile: a working day.
SESSION_S = 12 * 3600
#: The longest name of a person that is kept.
NAME_LENGTH = 60

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class User:
    """A person who is signed in. ``name`` is proved by an identity provider, or only claimed beside a password."""

    name: str
    role: Role

    @property
    def is_operator(self) -> bool:
        return self.role is Role.OPERATOR


def needs(role: Role | None) -> Callable[[View], View]:
    """Lets whoever has this role use a view; with ``None`` everybody. Every view of the dashboard carries it."""

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
    """Who is signed in, or ``None``."""
    return User(session["name"], Role(session["role"])) if "role" in session else None


def acting() -> str:
    """The name of who acts, for the audit, in a view that needs a role."""
    return str(session["name"])


def begin(name: str, role: Role, now: float) -> None:
    """Begins a session; nothing of an earlier one is left in it. ``now`` is in seconds since the epoch."""
    session.clear()
    tidy = "".join(letter for letter in name if letter.isprintable()).strip()[:NAME_LENGTH]
    session.update(name=tidy or role.value, role=role.value, until=int(now) + SESSION_S)
    log.info("somebody signed in to the dashboard as %s", role)


def csrf_token() -> str:
    """What a form must bring back: the session's own secret, made when it is first asked for.

    It reads otherwise in each answer (a random pad, and the secret under it), because answers are compressed, and their
    length would tell a patient stranger about what stays the same (the BREACH attack, https://www.breachattack.com).
    """
    if "csrf" not in session:
        session["csrf"] = secrets.token_hex(CSRF_BYTES)
    pad = secrets.token_bytes(CSRF_BYTES)
    return (pad + _under(pad, bytes.fromhex(session["csrf"]))).hex()


def is_csrf_token(given: str) -> bool:
    """Whether this is the session's own secret, as ``csrf_token`` writes it."""
    try:
        brought = bytes.fromhex(given)
    except ValueError:
        return False
    if "csrf" not in session or len(brought) != 2 * CSRF_BYTES:
        return False
    secret = _under(brought[:CSRF_BYTES], brought[CSRF_BYTES:])
    return hmac.compare_digest(secret, bytes.fromhex(session["csrf"]))


def _under(pad: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, text, strict=True))


def local_path(address: str | None) -> str:
    """A page of ours to go on to, whatever address somebody put into a link."""
    parts = urlsplit(address or "")
    home = url_for("dashboard.start")
    is_ours = not parts.scheme and not parts.netloc and f"{parts.path}/".startswith(home)
    return f"{parts.path}?{parts.query}".removesuffix("?") if is_ours and "\\" not in parts.path else home


def _sign_in_first() -> Response:
    if request.headers.get("HX-Request"):
        return Response("Please sign in again.", 401, content_type="text/plain; charset=utf-8")
    wanted = request.full_path.removesuffix("?") if request.method == "GET" else None
    return redirect(url_for("dashboard.sign_in", next=wanted), 303)


def register(views: Blueprint, _parts: "Parts") -> None:
    @views.app_context_processor
    def person() -> dict[str, object]:
        return {"user": current_user()}

    views.add_app_template_global(csrf_token)


def sign(app: Flask, parts: "Parts") -> None:
    """Sessions of this app are the dashboard's."""
    app.config.update(SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_PATH="/")
    app.config.update(PERMANENT_SESSION_LIFETIME=SESSION_S, SESSION_REFRESH_EACH_REQUEST=False)
    app.session_interface = DashboardSessions(parts.access, lambda: parts.store.salt().decode(), parts.clock)


class DashboardSessions(SecureCookieSessionInterface):
    """Signed with a key made from the passwords and a secret that all processes share through Redis."""

    def __init__(self, access: Access, salt: Callable[[], str], clock: Callable[[], float]) -> None:
        self.access = access
        self.read_salt = salt
        self.clock = clock
        self._key: tuple[str, bytes] | None = None
        self._lock = threading.Lock()

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session in the cookie; an empty one where there is none, or its time is over."""
        session = super().open_session(app, request)
        if session is not None and session.get("until", math.inf) < self.clock():
            session.clear()
        return session

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """``None``, and so no session, away from the dashboard, and where Redis cannot tell us the secret."""
        if not is_ours() or not self.access.is_open:
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
        """Over TLS a name that browsers hold to its promise: from this host, for this host, secure."""
        return "__Host-livedesk-sync" if request.is_secure else "livedesk-sync"

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure

    def _signing_key(self) -> bytes:
        salt = self.read_salt()
        with self._lock:
            if self._key is None or self._key[0] != salt:
                self._key = (salt, self.access.signing_key(salt.encode()))
            return self._key[1]
