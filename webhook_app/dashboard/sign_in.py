"""Signing in with a password, and signing out."""

import logging
import re
import unicodedata
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address

from flask import flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.session import begin, current_user, end, local_path, needs
from webhook_app.parts import Parts, current_parts
from worker.durations import duration
from worker.errors import StoreError
from worker.model import Way
from worker.store.security import MAX_OVERALL, MAX_SIGN_INS, OVERALL_MS, SIGN_INS_MS, SignInAttempt
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Failed sign-ins of all addresses that are recorded one by one, in each window of ``OVERALL_MS``.
MAX_RECORDED = 10
#: Names that the audit log gives to what nobody has signed in for.
RESERVED_NAMES = ("sync", "somebody", "api", "command line", "automatic")
#: The message after a sign-out that could not end copies of the cookie.
NOT_ENDED = (
    "You are signed out in this browser. Redis is unavailable, so copies of its cookie remain valid for up to 12 "
    "hours. If somebody may have one, run flask sign-out-everyone when Redis is back."
)


@blueprint.get("/sign-in")
@needs(None)
def sign_in() -> Response:
    if current_user() is not None:
        return redirect(local_path(request.args.get("next")), 303)
    return _form()


@blueprint.post("/sign-in")
@needs(None)
def sign_in_by_password() -> Response:
    parts = current_parts()
    attempt = parts.store.rate_limiter.try_sign_in(network(request.remote_addr))
    if attempt.wait_ms:
        response = _form(429, too_many(attempt))
        response.headers["Retry-After"] = retry_after(attempt.wait_ms)
        return response
    role = parts.access.role_of_password(request.form.get("password", ""))
    if role is None:
        audit_failure(parts, attempt)
        return _form(403, "Wrong password.")
    forgive(parts, attempt)
    begin(parts, typed_name(request.form.get("name", "")), role, Way.PASSWORD)
    audit_session(parts, "signed in", role)
    return redirect(local_path(request.form.get("next")), 303)


@blueprint.post("/sign-out")
@needs(None)
def sign_out() -> Response:
    if current_user() is not None:
        audit_session(current_parts(), "signed out")
    flash("You are signed out." if end(current_parts()) else NOT_ENDED)
    return redirect(url_for("dashboard.sign_in"), 303)


def typed_name(text: str) -> str:
    """Return a name that nobody takes for one from elsewhere.

    Only an identity provider names addresses (``ada@example.com``), only the API marks names (``ada (api)``).
    """
    name = " ".join(re.sub("[@()]", " ", unicodedata.normalize("NFKC", text)).split())
    return "" if name.casefold() in RESERVED_NAMES else name


def network(address: str | None) -> str:
    """Return the network to count attempts for: an IPv4 address, or an IPv6 /64."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def too_many(attempt: SignInAttempt) -> str:
    """Return why a sign-in was refused unseen, and until when."""
    whose = " from other addresses" if attempt.is_flood else ""
    return f"Too many failed sign-ins{whose}. Try again in {duration(attempt.wait_ms + 999)}."


def retry_after(wait_ms: int) -> str:
    """Return the header ``Retry-After``, in seconds."""
    return str(wait_ms // 1000 + 1)


def forgive(parts: Parts, attempt: SignInAttempt, *, succeeded: bool = True) -> None:
    """Do not count a sign-in as failed, unless Redis cannot be used."""
    try:
        parts.store.rate_limiter.forgive(attempt, succeeded=succeeded)
    except StoreError as error:
        log.warning(LogEvent("sign-in counted as failed", error=error))


def audit_session(parts: Parts, did: str, why: str = "") -> None:
    """Record that the person of the session signed in or out."""
    user = current_user()
    assert user is not None
    try:
        parts.store.audit.add(user.name, did, why=why, way=user.way)
    except StoreError as error:
        log.warning(LogEvent("not in the audit log", did=did, error=error))


def audit_failure(parts: Parts, attempt: SignInAttempt, why: str = "") -> None:
    """Record a failed sign-in, if it is one of the few that the audit log has.

    The address is not recorded, and neither is the name: some people type their password there.
    """
    log.info(LogEvent("sign-in failed", method=attempt.way, reason=why or None, address=attempt.alias))
    try:
        for did, target in _recorded(attempt):
            parts.store.audit.add_failed_sign_in(did, target, why, way=attempt.way)
    except StoreError as error:
        log.warning(LogEvent("not in the audit log", did="failed to sign in", error=error))


def _recorded(attempt: SignInAttempt) -> Iterator[tuple[str, str]]:
    """Yield what to record of a failed sign-in, and whose it is.

    That is the first one of an address and the one that locks it out; of all addresses a few each minute, and then two
    totals, so that an attack from many addresses cannot displace everything else.
    """
    window = duration(OVERALL_MS)
    if attempt.failed == 1 and attempt.overall <= MAX_RECORDED:
        yield "failed to sign in", f"address {attempt.alias}"
    if attempt.failed == MAX_SIGN_INS:
        did = f"failed to sign in {MAX_SIGN_INS} times within {duration(SIGN_INS_MS)}: locked out"
        yield did, f"address {attempt.alias}"
    if attempt.overall == MAX_RECORDED + 1:
        yield f"failed to sign in {attempt.overall} times within {window}: others are only in the log", "all addresses"
    if attempt.overall == MAX_OVERALL:
        yield f"failed to sign in {MAX_OVERALL} times within {window}: new addresses locked out", "all addresses"


def _form(status: int = 200, problem: str | None = None) -> Response:
    access = current_parts().access
    page = render_template(
        "dashboard/sign_in.html",
        has_passwords=access.has_passwords,
        provider=access.provider,
        next=local_path(request.values.get("next")),
        name=request.form.get("name", ""),
        problem=problem,
    )
    return make_response(page, status)
