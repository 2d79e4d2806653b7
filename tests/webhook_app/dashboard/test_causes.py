"""Every cause that the code can end an attempt with has words for a person."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import worker.errors
from webhook_app.dashboard.causes import EXPLAINED, FIELDS, Fault, explain
from worker.model import Contact

WORKER = Path(worker.errors.__file__).parent
FALL_BACK = "This version has no words for it."
#: What stands for the changing part of a slug that is put together.
FILLED = {"status": ("200", "400", "404", "408", "413", "422", "500", "503", "599"), "field": tuple(FIELDS)}
#: Who is given a cause, and as which argument: the errors, and the ends in ``sync``.
ERRORS = {name for name in vars(worker.errors) if isinstance(getattr(worker.errors, name), type)}
TAKERS = {**dict.fromkeys(ERRORS - {"SettingsError", "Unmappable"}, 0), "closed": 1, "postponed": 1, "repeats": 1}
#: Variables that hold one.
NAMES = {"cause"}


def name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def slugs(node: ast.expr) -> Iterator[str]:
    """The slugs that an expression can be."""
    match node:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.JoinedStr(values=values):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in values)
            for filling in FILLED["status" if text.startswith("http_") else "field"]:
                yield text.format(filling)
        case ast.IfExp(body=body, orelse=orelse):
            yield from slugs(body)
            yield from slugs(orelse)
        case ast.BoolOp(values=values):
            for value in values:
                yield from slugs(value)


def causes_in(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (place := TAKERS.get(name_of(node.func))) is not None:
            found.update(*(slugs(argument) for argument in node.args[place : place + 1]))
        if isinstance(node, ast.Assign) and any(name_of(target) in NAMES for target in node.targets):
            found.update(slugs(node.value))
    return found


CAUSES = {
    cause
    for name in ("livedesk/client", "sync", "normalise")
    for cause in causes_in((WORKER / f"{name}.py").read_text())
}


def test_the_walk_finds_every_way_in_which_a_cause_is_written() -> None:
    source = "raise NotSent('a')\ncause = 'b' if x else f'http_{s}'\nself.closed(S.F, f'{field}_taken')\nf(x or 'no')"
    assert causes_in(source) >= {"a", "b", "http_503", "email_taken"}
    assert "no" not in causes_in(source)
    assert {
        "worker_died",
        "poisonous",
        "inbox_missing",
        "email_taken",
        "name_refused",
        "http_422",
        "throttled",
    } <= CAUSES
    assert len(CAUSES) > 40


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_every_cause_has_words(cause: str) -> None:
    explained = explain(cause)
    assert explained.meaning != FALL_BACK
    assert len(explained.title) <= 50
    assert explained.meaning.endswith(".")
    assert explained.todo.endswith(".")


def test_no_words_are_left_over() -> None:
    assert EXPLAINED.keys() - {"other"} <= CAUSES
    assert FIELDS.keys() == Contact.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    ("cause", "fault"),
    [
        *(("http_503", Fault.LIVEDESK), ("http_422", Fault.CONTACT), ("unauthorized", Fault.OURS)),
        *(("answer_timeout", Fault.UNKNOWN), ("email_taken", Fault.CONTACT), ("search_refused", Fault.LIVEDESK)),
    ],
)
def test_faults_have_an_owner(cause: str, fault: Fault) -> None:
    assert explain(cause).fault is fault


@pytest.mark.parametrize("cause", ["", "brand_new", "<script>", "http_99", "http_5000"])
def test_whatever_else_comes_is_told_as_it_is(cause: str) -> None:
    assert explain(cause).meaning == FALL_BACK
    assert cause in explain(cause).title
