"""``/dashboard/sources/quarantine``: reveal, replay and discard; resolve a clash."""

from collections.abc import Mapping

from flask import flash, redirect, request, url_for
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.pages import back, operator, or_unknown, read_overview, reason, show
from webhook_app.dashboard.session import needs
from webhook_app.operator import SAME_PERSON, UNDECIDED, Decision, InvalidInput
from webhook_app.parts import current_parts
from webhook_app.present.masking import mask, masked_text
from webhook_app.present.wording import evictions, explain_clash
from webhook_app.receiver.replay import revealed
from webhook_app.sources.body.keys import keys_in
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.model import CONTACT_FIELDS, PERSONAL_FIELDS, Identity, Quarantined

#: Deliveries on one page; keys shown of one; characters of a payload that are revealed.
PAGE, MAX_KEYS, MAX_PAYLOAD = 50, 200, 65_536
#: Characters of the reasons why a replay failed.
MAX_REASONS = 500


@blueprint.get("/sources/quarantine")
@needs(Role.VIEWER)
def quarantine() -> str:
    """Render all deliveries, or those of one pair of sources that clash."""
    store, overview, clash = current_parts().store, read_overview(), _clash(request.args)
    offset = max(0, request.args.get("offset", 0, type=int))
    everything = or_unknown(store.quarantine.size)
    waiting = {one.pair: one.waiting for one in overview.clashes} if overview else None
    size = everything if clash is None else None if waiting is None else waiting.get(clash, 0)
    return show(
        "quarantine",
        entries=or_unknown(lambda: store.quarantine.page(offset=offset, limit=PAGE, clash=clash, with_payloads=False)),
        size=size,
        everything=everything,
        waiting=waiting or {},
        evictions=evictions(or_unknown(store.quarantine.evicted) or {}),
        clash=clash,
        resolution=None if clash is None else _resolution(*clash, many=size != 1),
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
    actions = operator().quarantine
    one = actions.get(entry)
    try:
        decision = _decision()
        status = actions.replay(entry, reason(), decision)
    except InvalidInput as error:
        reasons = masked_text("; ".join(f"{field} {problem}" for field, problem in error.problems.items()))
        return back(f"Not replayed: {reasons[:MAX_REASONS]}.", "error")
    flash(" ".join(filter(None, (f"Replayed: {status}.", actions.advice((one.source, one.clash), decision)))))
    return redirect(url_for("dashboard.quarantine"), 303)


@blueprint.post("/sources/quarantine/replay")
@needs(Role.OPERATOR)
def replay_all() -> Response:
    """Replay a request's share, after the first ``passed``, which failed before."""
    store, actions, clash = current_parts().store, operator().quarantine, _clash(request.form)
    passed = max(0, request.form.get("passed", 0, type=int))
    try:
        decision = UNDECIDED if clash is None else _decision()
    except InvalidInput as error:
        return back(f"Nothing was replayed: {error}.", "error")
    results, failed = actions.replay_some(passed, reason(), clash, decision)
    passed += failed
    size = store.quarantine.size() if clash is None else store.quarantine.clashes().get(clash, 0)
    remain = max(0, size - passed)
    done = "".join(f"{count} {result}, " for result, count in sorted(results.items()))
    rest = f"{remain} not replayed yet: replay them next." if remain else "All were replayed."
    sentences = (f"{done}{failed} still in quarantine.", rest, actions.advice(clash, decision) if clash else "")
    flash(" ".join(filter(None, sentences)), "error" if failed else "message")
    source, other = (clash if remain else None) or (None, None)
    return redirect(url_for("dashboard.quarantine", source=source, other=other, passed=passed if remain else None), 303)


@blueprint.post("/sources/quarantine/<entry>/discard")
@needs(Role.OPERATOR)
def discard_quarantined(entry: str) -> Response:
    operator().quarantine.discard(entry)
    flash("Delivery discarded.")
    return redirect(url_for("dashboard.quarantine"), 303)


def _clash(values: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the pair of sources in the address or the form."""
    source, other = values.get("source", ""), values.get("other", "")
    return (source, other) if source and other else None


def _decision() -> Decision:
    """Return the decision in the form.

    Raises:
        InvalidInput: the prefix cannot be used.
    """
    match request.form.get("decision"):
        case "two people":
            return Decision.two_people(request.form.get("id_prefix", "").strip())
        case "same person":
            return SAME_PERSON
    return UNDECIDED


def _resolution(source: str, other: str, *, many: bool = False) -> dict[str, object]:
    """Return what the forms that resolve a clash show."""
    sources, default = current_parts().sources, f"{source}-"
    found, theirs = sources.get(source), sources.get(other)
    return {
        "explanation": explain_clash(source, other, many=many),
        "prefix": default,
        "has_prefix": found is not None and found.id_prefix.startswith(default),
        "is_visitor": found is not None and found.identity is Identity.VISITOR,
        "was_visitor": theirs is not None and theirs.identity is Identity.VISITOR,
        "join": operator().quarantine.advice((source, other), SAME_PERSON),
        "is_configured": found is not None,
    }


def _compared(delivery: Quarantined) -> dict[str, object] | None:
    """Return the delivery's contact and the one that has its identifier, masked."""
    contact = operator().quarantine.contact_in(delivery)
    if contact is None:
        return None
    store = current_parts().store
    key = store.key_of(contact.identifier)
    owner = store.contacts.read(key)
    ours, theirs = mask(contact), mask(owner.contact) if owner and owner.contact else None
    pairs = {name: (getattr(ours, name), getattr(theirs, name) if theirs else None) for name in PERSONAL_FIELDS}
    return {
        "key": key if owner else None,
        "owner": owner,
        "rows": [(CONTACT_FIELDS[name].label, *pair) for name, pair in pairs.items() if any(pair)],
    }


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
        resolution=_resolution(delivery.source, delivery.clash) if delivery.clash else None,
        compared=_compared(delivery) if delivery.clash else None,
    )
