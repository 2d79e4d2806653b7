"""``/dashboard/sources``: the senders, their deliveries, refusals and clashes."""

from flask import request

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.pages import or_unknown, read_overview, show
from webhook_app.dashboard.session import needs
from webhook_app.parts import current_parts
from webhook_app.present.wording import IDENTITY_WORDS, ON_CHANGE_WORDS, ON_CONFLICT_WORDS, describe_deletion
from webhook_app.sources.presets import PRESETS
from worker.model import Status
from worker.store.counters import CLASH, DELIVERY, EVENT, REFUSED, EventKind, Total, with_prefix

#: Removed sources that still have counters.
MAX_REMOVED = 50
#: Why deliveries are rejected, by the names of the counters (``receiver.delivery_log``).
REASONS = {
    "no_source": "unknown source",
    "unauthentic": "invalid signature",
    "unknown_key": "signed with a key that is not known yet",
    "undecided": "signature could not be checked",
    "bad_body": "unreadable body",
    "bad_request": "bad request",
    "too_large": "body too large",
    "wrong_type": "unsupported content type",
    "too_slow": "body not sent in time",
    "wrong_method": "wrong HTTP method",
    "unmappable": "no usable contact",
    "store_away": "Redis unavailable",
    "full": "Redis full",
    "bug": "internal error",
}
#: The results of deliveries.
STATUSES = {
    Status.ACCEPTED: "accepted",
    Status.DUPLICATE: "already known",
    Status.IGNORED: "not a signup, ignored",
    Status.QUARANTINED: "in quarantine",
    "lost": "lost: Redis was unavailable",
}
#: What deliveries say about people who were known already.
KINDS = {
    EventKind.CHANGE: "changes",
    EventKind.DELETION: "deletions",
    EventKind.STALE: "stale: a newer event came first",
}


@blueprint.get("/sources")
@needs(Role.VIEWER)
def sources() -> str:
    """Render configured sources, removed ones with counters, and ``""`` (unknown)."""
    configured, store = current_parts().sources, current_parts().store
    totals = or_unknown(lambda: store.counters.totals(CLASH, DELIVERY, EVENT, REFUSED))
    counted = {counter.split(":")[1] for counter in totals or ()}
    overview, account = read_overview(), or_unknown(current_parts().account)
    waiting = {clash.pair: clash.waiting for clash in overview.clashes} if overview else {}
    clashed = with_prefix(CLASH, totals or {})
    pairs = sorted({tuple(pair.split(":")) for pair in clashed} | waiting.keys())
    return show(
        "sources",
        names=[*configured, *sorted(counted - set(configured))[:MAX_REMOVED]],
        sources=configured,
        deliveries=lambda name: None if totals is None else with_prefix(f"{DELIVERY}{name}:", totals),
        refusals=lambda name: None if totals is None else with_prefix(f"{REFUSED}{name}:", totals),
        reasons=REASONS,
        statuses=STATUSES,
        preset_titles={name: preset["title"] for name, preset in PRESETS.items()},
        identity_words=IDENTITY_WORDS,
        on_conflict_words=ON_CONFLICT_WORDS,
        on_change_words=ON_CHANGE_WORDS,
        deletion_words=lambda source: describe_deletion(source.on_delete, account.deletes if account else None),
        events=lambda name: with_prefix(f"{EVENT}{name}:", totals or {}),
        kinds=KINDS,
        clashes=lambda name: [pair for pair in pairs if name in pair],
        clashed=lambda pair: clashed.get(":".join(pair), Total(0, 0)),
        waiting=waiting,
        used=or_unknown(store.secret_uses.read),
        size=or_unknown(store.quarantine.size),
        home=request.host_url,
    )
