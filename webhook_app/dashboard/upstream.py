"""``/dashboard/upstream``: LiveDesk's state, our pace; pause, resume and probe."""

from flask import abort
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.pages import back, operator, or_unknown, reason, show
from webhook_app.dashboard.session import needs
from webhook_app.operator import ActionRefused, Reason
from webhook_app.parts import Parts, current_parts
from worker.causes import explain
from worker.livedesk.probe import promise
from worker.model import Account, State
from worker.store.lists import Filter
from worker.store.record import ContactRecord

#: Counters of LiveDesk's answers, with their labels.
ANSWERS = (("ok", "good"), ("error", "error"), ("throttled", "throttled"))
#: States whose latest attempts are shown; how many of each, and how many altogether.
TRIED = (State.CREATED, State.DELETED, State.RETRYING, State.CONFLICT, State.FAILED)
MAX_OF_EACH, MAX_LATEST = 6, 12


@blueprint.get("/upstream")
@needs(Role.VIEWER)
def upstream() -> str:
    parts = current_parts()
    account = or_unknown(lambda: _account(parts))
    return show(
        "upstream",
        explain=explain,
        answers=or_unknown(lambda: parts.store.overview.flow(names=tuple(name for name, _ in ANSWERS))),
        series=ANSWERS,
        latest=or_unknown(lambda: _latest(parts)),
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
    operator().sync.probe(reason())
    return back("Probing LiveDesk now. The result appears below.")


def _account(parts: Parts) -> Account:
    """Return what ``flask doctor`` has found out about the account."""
    return parts.store.findings.account(parts.livedesk.account) if parts.livedesk else Account()


def _latest(parts: Parts) -> list[tuple[str, ContactRecord]]:
    """Return the contacts tried last, with keys, if still in one of these states."""
    pages = [parts.store.lists.page(Filter(state=state), limit=MAX_OF_EACH) for state in TRIED]
    found = parts.store.contacts.read_many([row.key for page in pages for row in page.rows])
    tried = [(key, record) for key, record in found.items() if record.attempts]
    return sorted(tried, key=lambda each: -each[1].attempts[-1].at)[:MAX_LATEST]
