"""``/dashboard/sources``: the senders and their deliveries; and the quarantine."""

from flask import flash, redirect, request, url_for
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.pages import back, operator, or_unknown, show
from webhook_app.dashboard.session import needs
from webhook_app.operator import InvalidInput
from webhook_app.parts import current_parts
from webhook_app.receiver.replay import keys_in, revealed
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.store.counters import DELIVERY, REFUSED, with_prefix

#: Deliveries on one page of the quarantine; keys shown of one; characters of a payload that are revealed.
PAGE, MAX_KEYS, MAX_PAYLOAD = 50, 200, 65_536
#: Characters of the reasons why a replay failed.
MAX_REASONS = 500
#: Removed sources that still have counters.
MAX_REMOVED = 50
#: Why deliveries are rejected, by the names of the counters (``receiver.delivery_log``).
REASONS = {
    "no_source": "unknown source",
    "unauthentic": "invalid signature",
    "undecided": "signature could not be checked",
    "bad_body": "unreadable body",
    "bad_request": "bad request",
    "too_large": "body too large",
    "wrong_type": "unsupported content type",
    "wrong_method": "wrong HTTP method",
    "unmappable": "no usable contact",
    "store_away": "Redis unavailable",
    "full": "Redis full",
    "bug": "internal error",
}


@blueprint.get("/sources")
@needs(Role.VIEWER)
def sources() -> str:
    """Render configured sources, removed ones with counters, and ``""`` (unknown)."""
    configured, store = current_parts().sources, current_parts().store
    totals = or_unknown(lambda: store.counters.totals(DELIVERY, REFUSED))
    counted = {counter.split(":")[1] for counter in totals or ()}
    return show(
        "sources",
        names=[*configured, *sorted(counted - set(configured))[:MAX_REMOVED]],
        sources=configured,
        deliveries=lambda name: None if totals is None else with_prefix(f"{DELIVERY}{name}:", totals),
        refusals=lambda name: None if totals is None else with_prefix(f"{REFUSED}{name}:", totals),
        reasons=REASONS,
        used=or_unknown(store.secret_uses.read),
        size=or_unknown(store.quarantine.size),
        home=request.host_url,
    )


@blueprint.get("/sources/quarantine")
@needs(Role.VIEWER)
def quarantine() -> str:
    store = current_parts().store
    offset = max(0, request.args.get("offset", 0, type=int))
    return show(
        "quarantine",
        entries=or_unknown(lambda: store.quarantine.page(offset=offset, limit=PAGE)),
        size=or_unknown(store.quarantine.size),
        offset=offset,
        page=PAGE,
        passed=max(0, request.args.get("passed", 0, type=int)),
    )


@blueprint.get("/sources/quarantine/<entry>")
@needs(Role.VIEWER)
def quarantined(entry: str) -> str:
    return _entry(entry)


@blueprint.post("/sources/quarantine/<entry>/reveal")
@needs(Role.OPERATOR)
def reveal(entry: str) -> str:
    operator().quarantine.reveal(entry)
    return _entry(entry, is_revealed=True)


@blueprint.post("/sources/quarantine/<entry>/replay")
@needs(Role.OPERATOR)
def replay_one(entry: str) -> Response:
    try:
        flash(f"Replayed: {operator().quarantine.replay(entry)}.")
        return redirect(url_for("dashboard.quarantine"), 303)
    except InvalidInput as error:
        reasons = "; ".join(f"{field} {problem}" for field, problem in error.problems.items())
        return back(f"Replayed, but it still has no usable contact: {reasons[:MAX_REASONS]}.", "error")


@blueprint.post("/sources/quarantine/replay")
@needs(Role.OPERATOR)
def replay_all() -> Response:
    """Replay a request's share, after the first ``passed``, which failed before."""
    parts = current_parts()
    passed = max(0, request.form.get("passed", 0, type=int))
    results, failed = operator().quarantine.replay_some(passed)
    passed += failed
    remain = max(0, parts.store.quarantine.size() - passed)
    done = "".join(f"{count} {result}, " for result, count in sorted(results.items()))
    rest = f"{remain} not replayed yet: replay them next." if remain else "All were replayed."
    flash(f"{done}{failed} still without a contact. {rest}", "error" if failed else "message")
    return redirect(url_for("dashboard.quarantine", passed=passed if remain else None), 303)


@blueprint.post("/sources/quarantine/<entry>/discard")
@needs(Role.OPERATOR)
def discard_quarantined(entry: str) -> Response:
    operator().quarantine.discard(entry)
    flash("Delivery discarded.")
    return redirect(url_for("dashboard.quarantine"), 303)


def _entry(entry: str, *, is_revealed: bool = False) -> str:
    parts = current_parts()
    delivery = operator().quarantine.get(entry)
    try:
        keys = sorted(set(keys_in(load_payload(delivery.payload))))
        is_too_deep = False
    except Unmappable:
        keys, is_too_deep = [], True
    return show(
        "quarantined",
        delivery=delivery,
        keys=keys[:MAX_KEYS],
        more_keys=max(0, len(keys) - MAX_KEYS),
        is_too_deep=is_too_deep,
        payload=revealed(delivery.payload)[:MAX_PAYLOAD] if is_revealed else None,
        is_configured=delivery.source in parts.sources,
    )
