"""``/dashboard/upstream``: how LiveDesk is and how it is treated; an operator may pause, resume and probe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from werkzeug import Response

from webhook_app import operator
from webhook_app.access import Role
from webhook_app.dashboard.header import header_of, or_unknown
from webhook_app.dashboard.session import acting, needs
from webhook_app.dashboard.view import WHY_LENGTH, why
from worker.causes import explain
from worker.livedesk.probe import meaning
from worker.model import Account, Attempt, State
from worker.store.lists import Filter

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: Kinds of answers as they are counted: good ones, faults of LiveDesk's, 429s.
ANSWERS = ("well", "fault", "throttled")
#: Where the latest answers are looked for, and how many are shown of each state and altogether.
ANSWERED = (State.CREATED, State.RETRYING, State.CONFLICT, State.FAILED)
LATEST_OF_EACH, LATEST = 6, 12


@dataclass(frozen=True, slots=True)
class Answered:
    """One of the latest attempts: whose, and how it went."""

    key: str
    state: State
    attempt: Attempt


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/upstream")
    @needs(Role.VIEWER)
    def upstream() -> str:
        situation = or_unknown(parts.store.overview.read)
        account = or_unknown(lambda: _account(parts))
        return render_template(
            "dashboard/upstream.html",
            header=header_of(situation),
            up=situation.upstream if situation else None,
            situation=situation,
            explain=explain,
            answers=or_unknown(lambda: parts.store.overview.flow(names=ANSWERS)),
            series=ANSWERS,
            latest=or_unknown(lambda: _latest(parts)),
            account=account,
            meaning=meaning(account) if account and account.probed_at else None,
            most_why=WHY_LENGTH,
        )

    @views.post("/upstream/pause")
    @needs(Role.OPERATOR)
    def pause() -> Response:
        if not why():
            abort(400, "Say why you pause the sync: others will see it and wonder. Go back and fill it in.")
        done = "The sync is paused. What is under way is finished; then nothing is sent."
        return _told(operator.pause, done, "Somebody has paused the sync already.")

    @views.post("/upstream/resume")
    @needs(Role.OPERATOR)
    def resume() -> Response:
        if parts.store.upstream.read().paused_at:
            return _told(operator.resume, "The sync goes on.", "The sync was not paused any more.")
        flash("The sync was not paused any more.", "error")
        return _back()

    @views.post("/upstream/probe")
    @needs(Role.OPERATOR)
    def probe() -> Response:
        return _told(operator.probe, "A probe goes at once. Reload in a moment to see how it went.")

    def _told(act: Callable[["Parts", str, str], None], done: str, refused: str = "") -> Response:
        try:
            act(parts, acting(), why())
            flash(done)
        except operator.ActionRefused as refusal:
            flash(refused or str(refusal), "error")
        return _back()


def _back() -> Response:
    return redirect(url_for("dashboard.upstream"), 303)


def _account(parts: "Parts") -> Account:
    """What ``flask doctor`` has found out, if it ever looked."""
    return parts.store.findings.account(parts.livedesk.account) if parts.livedesk else Account()


def _latest(parts: "Parts") -> list[Answered]:
    """The latest attempts of contacts that are in one of these states since; looked up one by one, so only a few."""
    found = []
    for state in ANSWERED:
        for row in parts.store.lists.page(Filter(state=state), limit=LATEST_OF_EACH).rows:
            record = parts.store.contacts.read(row.key)
            if record and record.attempts:
                found.append(Answered(row.key, record.state, record.attempts[-1]))
    return sorted(found, key=lambda answered: -answered.attempt.at)[:LATEST]
