"""Signing in by password, and out."""

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from flask import Blueprint, flash, make_response, redirect, render_template, request, session, url_for
from werkzeug import Response

from webhook_app.dashboard.session import begin, current_user, local_path, needs
from worker.durations import duration

if TYPE_CHECKING:
    from webhook_app.parts import Parts


def register(views: Blueprint, parts: "Parts") -> None:
    access = parts.access

    def form(status: int = 200, problem: str | None = None) -> Response:
        page = render_template(
            "dashboard/sign_in.html",
            has_passwords=access.has_passwords,
            provider=access.provider,
            next=local_path(request.values.get("next")),
            name=request.form.get("name", ""),
            problem=problem,
        )
        return make_response(page, status)

    @views.get("/sign-in", endpoint="sign_in")
    @needs(None)
    def ask() -> Response:
        if current_user() is not None:
            return redirect(local_path(request.args.get("next")), 303)
        return form()

    @views.post("/sign-in", endpoint="sign_in_by_password")
    @needs(None)
    def by_password() -> Response:
        wait_ms = parts.store.rate_limiter.try_sign_in(network(request.remote_addr))
        if wait_ms:
            response = form(429, f"Too many tries. The next one counts in {duration(wait_ms + 999)}.")
            response.headers["Retry-After"] = str(wait_ms // 1000 + 1)
            return response
        role = access.role_of_password(request.form.get("password", ""))
        if role is None:
            return form(403, "This password is not right.")
        begin(request.form.get("name", ""), role, parts.clock())
        return redirect(local_path(request.form.get("next")), 303)

    @views.post("/sign-out")
    @needs(None)
    def sign_out() -> Response:
        session.clear()
        flash("You are signed out.")
        return redirect(url_for("dashboard.sign_in"), 303)


def network(address: str | None) -> str:
    """Whose tries are counted together: an address; in IPv6, where one household has 2^64 of them, its network."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
