"""``/dashboard/upstream``: LiveDesk's state, our pace; pause, resume and probe."""

from flask import abort, redirect, request, url_for
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.headline import on_the_way
from webhook_app.dashboard.pages import back, operator, or_unknown, read_overview, reason, show
from webhook_app.dashboard.session import needs
from webhook_app.operator import ActionRefused, Reason
from webhook_app.parts import Parts, current_parts
from webhook_app.present.sending import FIX_WHAT_IT_NAMES, STATE_WORDS, Due, Sentence, reason_of
from webhook_app.present.wording import clear_words, people, takes
from worker.causes import explain
from worker.livedesk.probe import promise
from worker.model import State
from worker.store.lists import Filter
from worker.store.overview import Overview
from worker.store.record import ContactRecord

#: For how long the page shows what came of a probe.
RESULT_SHOWN_MS = 15 * 60_000
#: Counters of LiveDesk's answers, with their labels.
ANSWERS = (("ok", "good"), ("error", "error"), ("throttled", "throttled"))
#: States whose latest attempts are shown; how many of each, and how many altogether.
TRIED = (State.CREATED, State.DELETED, State.RETRYING, State.CONFLICT, State.FAILED)
MAX_OF_EACH, MAX_LATEST = 6, 12


@blueprint.get("/upstream")
@needs(Role.VIEWER)
def upstream() -> str:
    parts = current_parts()
    account = or_unknown(parts.account)
    latest = or_unknown(lambda: _latest(parts))
    return show(
        "upstream",
        explain=explain,
        fix_what_it_names=FIX_WHAT_IT_NAMES,
        answers=or_unknown(lambda: parts.store.overview.flow(names=tuple(name for name, _ in ANSWERS))),
        series=ANSWERS,
        latest=latest,
        result=_result(read_overview(), latest or []),
        args={name: request.args[name] for name in ("probed", "since", "what") if name in request.args},
        account=account,
        meaning=promise(account) if account and account.probed_at else None,
    )


@blueprint.post("/upstream/pause")
@needs(Role.OPERATOR)
def pause() -> Response:
    if not reason():
        abort(400, "A pause needs a reason, because everyone sees it. Go back and enter one.")
    operator().sync.pause(reason())
    return back("Sync paused. Attempts that are running will finish; nothing else is sent.")


@blueprint.post("/upstream/resume")
@needs(Role.OPERATOR)
def resume() -> Response:
    if not current_parts().store.upstream.read().paused_at:
        raise ActionRefused(Reason.ALREADY, "The sync is not paused.")
    operator().sync.resume(reason())
    return back("Sync resumed.")


@blueprint.post("/upstream/probe")
@needs(Role.OPERATOR)
def probe() -> Response:
    """Probe, and show the page that says what came of it."""
    upstream = current_parts().store.upstream.read()
    operator().sync.probe(reason())
    since = upstream.since or min((held.since for held in upstream.inboxes), default=None)
    what = "sync" if upstream.stop else "inbox"
    return redirect(url_for("dashboard.upstream", probed=current_parts().store.now(), since=since, what=what), 303)


def _result(overview: Overview | None, latest: list[tuple[str, ContactRecord]]) -> tuple[str, Sentence] | None:
    """Return what came of the probe that somebody requested: a tone and a sentence."""
    probed, since = (request.args.get(name, type=int) for name in ("probed", "since"))
    if overview is None or probed is None or overview.now - probed > RESULT_SHOWN_MS:
        return None
    upstream = overview.upstream
    if upstream.paused_at:
        return "warn", ["An operator has paused the sync: it is probed after a resume."]
    inboxes = () if request.args.get("what") == "sync" else upstream.inboxes
    waiting = upstream.probe_at if upstream.stop else min((held.probe_at for held in inboxes), default=None)
    if waiting is None:
        good = next((record.attempts[-1] for _, record in latest if record.attempts[-1].cause is None), None)
        took = f" It answered in {good.duration_ms:,} ms." if good and good.at >= probed else ""
        back = f" after {takes(probed - since)}" if since else ""
        left = on_the_way(overview)
        drains = f" {people(left)} {'is' if left == 1 else 'are'} on the way: {clear_words(overview)}." if left else ""
        return "good", [f"LiveDesk is back{back}: the sync runs again.{took}{drains}"]
    if waiting <= max(probed, overview.now):
        return "plain-note", ["Probing LiveDesk…"]
    what = f"{STATE_WORDS[upstream.stop].lower()}: {reason_of(upstream)}" if upstream.stop else "held"
    return "bad", [f"Still {what}. Next probe ", Due(waiting), "."]


@blueprint.post("/acknowledge")
@needs(Role.OPERATOR)
def acknowledge() -> Response:
    operator().sync.acknowledge(reason())
    return back("Acknowledged. The audit log records it.")


def _latest(parts: Parts) -> list[tuple[str, ContactRecord]]:
    """Return the contacts tried last, with keys, if still in one of these states."""
    pages = [parts.store.lists.page(Filter(state=state), limit=MAX_OF_EACH) for state in TRIED]
    found = parts.store.contacts.read_many([row.key for page in pages for row in page.rows])
    tried = [(key, record) for key, record in found.items() if record.attempts]
    return sorted(tried, key=lambda each: -each[1].attempts[-1].at)[:MAX_LATEST]
