"""Signing in with a password, and signing out."""

from ipaddress import IPv6Address, ip_address

from flask import flash, make_response, redirect, render_template, request, session, url_for
from werkzeug import Response

from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.session import begin, current_user, local_path, needs
from webhook_app.parts import current_parts
from worker.durations import duration


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
    wait_ms = parts.store.rate_limiter.try_sign_in(network(request.remote_addr))
    if wait_ms:
        response = _form(429, f"Too many sign-in attempts. Try again in {duration(wait_ms + 999)}.")
        response.headers["Retry-After"] = str(wait_ms // 1000 + 1)
        return response
    role = parts.access.role_of_password(request.form.get("password", ""))
    if role is None:
        return _form(403, "Wrong password.")
    begin(request.form.get("name", ""), role, parts.clock())
    return redirect(local_path(request.form.get("next")), 303)


@blueprint.post("/sign-out")
@needs(None)
def sign_out() -> Response:
    session.clear()
    flash("You are signed out.")
    return redirect(url_for("dashboard.sign_in"), 303)


def network(address: str | None) -> str:
    """Return the network to count attempts for: an IPv4 address, or an IPv6 /64."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


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
