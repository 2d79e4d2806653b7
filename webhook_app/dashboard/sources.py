"""``/dashboard/sources``: who sends, what became of it, and what is in quarantine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug import Response

from webhook_app import operator
from webhook_app.access import Role
from webhook_app.dashboard.header import or_unknown, read_header
from webhook_app.dashboard.session import acting, needs
from webhook_app.receiver.replay import keys_in, revealed
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.model import Quarantined
from worker.store.counters import DELIVERY, REFUSED, Total, with_prefix

if TYPE_CHECKING:
    from webhook_app.parts import Parts
    from webhook_app.sources import Source

#: Deliveries in quarantine on a page; keys of one that are shown; characters of a payload that are revealed.
PAGE, KEYS_SHOWN, REVEALED_MOST = 50, 200, 65_536
#: Characters that tell why a delivery still makes no contact.
REASONS_MOST = 500
GONE = "This delivery is not in quarantine any more: it was replayed, discarded, or its time was over."
#: Sources that are gone and still counted: so many are shown.
GONE_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One source on the page; ``source`` is ``None`` where it is not configured any more. ``deliveries`` and
    ``refusals`` are by status and by reason; ``secrets`` tells when each was last used, in ms."""

    name: str
    source: "Source | None"
    deliveries: dict[str, Total] | None
    refusals: dict[str, Total] | None
    secrets: dict[str, int | None] | None


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/sources")
    @needs(Role.VIEWER)
    def sources() -> str:
        return render_template(
            "dashboard/sources.html",
            header=read_header(parts.store),
            sources=_shown(parts),
            held=or_unknown(parts.store.quarantine.size),
            home=request.host_url,
        )

    @views.get("/sources/quarantine")
    @needs(Role.VIEWER)
    def quarantine() -> str:
        offset = max(0, request.args.get("offset", 0, type=int))
        return render_template(
            "dashboard/quarantine.html",
            header=read_header(parts.store),
            entries=or_unknown(lambda: parts.store.quarantine.page(offset=offset, limit=PAGE)),
            held=or_unknown(parts.store.quarantine.size),
            offset=offset,
            page=PAGE,
            passed=max(0, request.args.get("passed", 0, type=int)),
        )

    @views.get("/sources/quarantine/<entry>")
    @needs(Role.VIEWER)
    def quarantined(entry: str) -> str:
        return _entry(parts, entry)

    _register_acts(views, parts)


def _register_acts(views: Blueprint, parts: "Parts") -> None:
    @views.post("/sources/quarantine/<entry>/reveal")
    @needs(Role.OPERATOR)
    def reveal(entry: str) -> str:
        try:
            operator.reveal_held(parts, entry, acting())
        except operator.ActionRefused:
            abort(404, GONE)
        return _entry(parts, entry, is_revealed=True)

    @views.post("/sources/quarantine/<entry>/replay")
    @needs(Role.OPERATOR)
    def replay_one(entry: str) -> Response:
        try:
            flash(f"It was read again: {operator.replay(parts, entry, acting())}.")
        except operator.ActionRefused:
            abort(404, GONE)
        except operator.InvalidInput as error:
            reasons = "; ".join(f"{field} {problem}" for field, problem in error.problems.items())
            flash(f"It still makes no contact: {reasons[:REASONS_MOST]}.", "error")
            return redirect(url_for("dashboard.quarantined", entry=entry), 303)
        return redirect(url_for("dashboard.quarantine"), 303)

    @views.post("/sources/quarantine/replay")
    @needs(Role.OPERATOR)
    def replay_all() -> Response:
        """Those behind the first ``passed``, which an earlier request could not read."""
        passed = max(0, request.form.get("passed", 0, type=int))
        ends, unreadable = operator.replay_some(parts, passed, acting())
        passed += unreadable
        remain = max(0, parts.store.quarantine.size() - passed)
        told = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
        still = f"{unreadable} still unreadable"
        rest = f"{remain} remain to be read: replay them next." if remain else "All have been read."
        flash(f"{f'{told}, ' if told else ''}{still}. {rest}", "error" if unreadable else "message")
        return redirect(url_for("dashboard.quarantine", passed=passed if remain else None), 303)

    @views.post("/sources/quarantine/<entry>/discard")
    @needs(Role.OPERATOR)
    def discard_quarantined(entry: str) -> Response:
        try:
            operator.release(parts, entry, acting())
            flash("The delivery is gone.")
        except operator.ActionRefused:
            flash("It was not in quarantine any more.", "error")
        return redirect(url_for("dashboard.quarantine"), 303)


def _shown(parts: "Parts") -> list[Shown]:
    tallies = or_unknown(lambda: parts.store.counters.totals(DELIVERY, REFUSED))
    used = or_unknown(parts.store.secret_uses.read)
    counted = {name.split(":")[1] for name in tallies or ()}
    gone = sorted(counted - set(parts.sources))[:GONE_SHOWN]
    return [_one(name, parts.sources.get(name), tallies, used) for name in [*parts.sources, *gone]]


def _one(name: str, source: "Source | None", tallies: dict[str, Total] | None, used: dict[str, int] | None) -> Shown:
    def counted(beginning: str) -> dict[str, Total] | None:
        return None if tallies is None else with_prefix(f"{beginning}{name}:", tallies)

    names = source.secret_names if source else ()
    return Shown(
        name=name,
        source=source,
        deliveries=counted(DELIVERY),
        refusals=counted(REFUSED),
        secrets=None if used is None else {secret: used.get(f"{name}:{secret}") for secret in names},
    )


def _entry(parts: "Parts", entry: str, *, is_revealed: bool = False) -> str:
    held = _held(parts, entry)
    keys, is_too_deep = [], False
    try:
        keys = sorted(set(keys_in(load_payload(held.payload))))
    except Unmappable:
        is_too_deep = True
    return render_template(
        "dashboard/quarantined.html",
        header=read_header(parts.store),
        held=held,
        keys=keys[:KEYS_SHOWN],
        more_keys=max(0, len(keys) - KEYS_SHOWN),
        is_too_deep=is_too_deep,
        payload=revealed(held.payload)[:REVEALED_MOST] if is_revealed else None,
        is_configured=held.source in parts.sources,
    )


def _held(parts: "Parts", entry: str) -> Quarantined:
    held = parts.store.quarantine.read(entry)
    if held is None:
        abort(404, GONE)
    return held
