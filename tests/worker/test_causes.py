"""The table of causes: complete, consistent, and the same as ``docs/causes.md``."""

import re
from pathlib import Path

import pytest

from worker import causes
from worker.causes import CAUSES, PAGE, Cause, Fault, explain, http, render
from worker.errors import AnswerUnknown, Inconclusive, LiveDeskError, Misconfigured, NotSent, Rejected, Throttled
from worker.livedesk.checks import HOPS
from worker.model import CONTACT_FIELDS, Signal

CONSTANTS = {name: row for name, row in vars(causes).items() if isinstance(row, Cause)}
ROWS = [*CAUSES.values(), *(http(status) for status in (200, 400, 404, 408, 413, 422, 500, 503, 599))]
#: Hops that ``flask doctor`` reaches in other ways than with a search.
OTHER_HOPS = {"create", "inbox", "worker"}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_row_has_words(row: Cause) -> None:
    assert 10 < len(row.title) <= 50
    assert not row.title.endswith(".")
    assert row.meaning.endswith(".")
    assert row.todo.endswith(".")
    assert row.hop in HOPS.keys() | OTHER_HOPS
    assert explain(row.slug) == row


def test_every_row_can_be_named_in_code_and_is() -> None:
    families = {f"{field}_refused" for field in CONTACT_FIELDS}
    assert {name.lower() for name in CONSTANTS} | families == CAUSES.keys()
    assert all(CAUSES[name.lower()] is row for name, row in CONSTANTS.items())
    sources = "".join(path.read_text() for path in Path(causes.__file__).parent.rglob("*.py"))
    used = set(re.findall(r"causes\.([A-Z_]+)\b", sources))
    by_name = {"EMAIL_TAKEN", "PHONE_NUMBER_TAKEN"}
    assert used == CONSTANTS.keys() - by_name - {"OTHER"}, "that one is written by a script"


@pytest.mark.parametrize(
    ("slug", "fault"),
    [
        *(("http_503", Fault.LIVEDESK), ("http_413", Fault.CONTACT), ("unauthorized", Fault.OURS)),
        *(("answer_timeout", Fault.UNKNOWN), ("email_taken", Fault.CONTACT), ("search_refused", Fault.LIVEDESK)),
    ],
)
def test_every_fault_has_an_owner(slug: str, fault: Fault) -> None:
    assert explain(slug).fault is fault
    assert explain(slug).fault.sentence.endswith(".")


@pytest.mark.parametrize(
    ("error", "spends"),
    [
        (NotSent(causes.CONNECT_FAILED), False),
        (Throttled(), False),
        (Misconfigured(causes.UNAUTHORIZED), False),
        (AnswerUnknown(causes.http(500)), False),
        (AnswerUnknown(causes.ANSWER_TIMEOUT), False),
        (Inconclusive(causes.SEARCH_REFUSED), False),
        (Inconclusive(causes.SEARCH_IGNORED_QUERY), False),
        (Inconclusive(causes.SEARCH_TOO_MANY_RESULTS), False),
        (Rejected(causes.http(422), fields=frozenset(), status=422), False),
        (Rejected(causes.http(413), fields=frozenset(), status=413), True),
        (Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404), False),
        (LiveDeskError(causes.EXISTS_BUT_NOT_FOUND), False),
    ],
    ids=str,
)
def test_only_the_contacts_own_faults_spend_its_budget(error: LiveDeskError, spends: bool) -> None:
    assert error.cause.spends_budget is spends


@pytest.mark.parametrize(
    ("error", "signal"),
    [
        (NotSent(causes.CONNECT_FAILED), Signal.ERROR),
        (AnswerUnknown(causes.http(500)), Signal.ERROR),
        (Throttled(), Signal.THROTTLED),
        (Misconfigured(causes.UNAUTHORIZED), Signal.MISCONFIGURED),
        (Misconfigured(causes.REDIRECTED), Signal.MISCONFIGURED),
        (Misconfigured(causes.INBOX_NOT_FOUND), Signal.INBOX),
        (Misconfigured(causes.INBOX_MISSING), Signal.INBOX),
        (Inconclusive(causes.SEARCH_IGNORED_QUERY), Signal.NOTHING),
        (Rejected(causes.http(422), fields=frozenset(), status=422), Signal.REFUSED),
        (Rejected(causes.http(413), fields=frozenset(), status=413), Signal.OK),
        (LiveDeskError(causes.EXISTS_BUT_NOT_FOUND), Signal.REFUSED),
    ],
)
def test_an_error_says_something_about_livedesk_or_about_the_contact(error: LiveDeskError, signal: Signal) -> None:
    assert error.cause.signal is signal


@pytest.mark.parametrize("slug", ["", "brand_new", "<script>", "http_99", "http_5000", "http_٤٠٠"])
def test_any_other_slug_is_shown_as_it_is(slug: str) -> None:
    assert explain(slug).meaning == "This version has no description of it."
    assert slug in explain(slug).title
    assert not explain(slug).spends_budget


def test_the_page_in_docs_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `python -m worker.causes`"
