"""The pages are true, readable and in step with the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.rig.parts import ROOT
from webhook_app import cli

MAX_COLUMNS = 100
MAX_DOCSTRING_COLUMNS = 80
MAX_README_LINES = 120
MAX_PICTURE_BYTES = 150_000
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md"])
ASSIGNMENT = re.compile(r"^(?:# )?([A-Z_]+)=(.*)$", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
#: A page that code or a comment refers to.
REFERENCE = re.compile(r"\bdocs/[\w./-]+\.(?:md|yml)\b")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)

#: Folders with code, templates and tests, and the kinds of files in them that people read.
ROOMS = ("worker", "webhook_app", "tests", "bench", "bin")
CHECKED_ROOMS = ("worker", "webhook_app", "tests/rig", "bench")
READABLE = {".py", ".lua", ".html", ".js", ".css", ".toml", ""}
#: Phrases that a reader stumbles over, and what to write instead.
BANNED = {
    r"stands in `": "lists, is in",
    r"\b(?:is|are|was|were) told\b": "is reported, is answered",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bbesides\b": "also, except",
    r"\bwho may\b": "allowed senders, users with access",
    r"\bby hand\b": "manually, an operator",
    r"\bmakes? no contact\b": "has no usable contact",
    r"\bis no signup\b": "is not a signup event",
    r"\bit goes on\b": "it resumes, it continues",
    r"\ball else\b": "everything else",
    r"\bwhat became of\b": "the result of",
    r"\blet go on\b": "resume",
    r"\bwhoever\b": "the person who, the worker that",
    r"\bsuch a one\b": "name it",
    r"\bis good for\b": "is valid for, helps with",
}


def text_of(path: str | Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def table_rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each table row that starts with a code span."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def anchors(page: Path) -> set[str]:
    """Return the fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_fit_the_width(page: Path) -> None:
    lines = enumerate(text_of(page).splitlines(), start=1)
    assert [number for number, line in lines if len(line) > MAX_COLUMNS] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for _, _, target in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not fragment or fragment in anchors(linked), target


def test_code_refers_to_pages_that_exist() -> None:
    files = [path for folder in ("worker", "webhook_app", "tests", "bench") for path in (ROOT / folder).rglob("*.py")]
    referred = {name for path in files for name in REFERENCE.findall(text_of(path))}
    assert referred
    assert {name for name in referred if not (ROOT / name).is_file()} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_are_in_plain_english(page: Path) -> None:
    text = " ".join(text_of(page).split())
    assert {phrase: instead for phrase, instead in BANNED.items() if re.search(phrase, text, re.IGNORECASE)} == {}


def written_files(room: str) -> Iterator[Path]:
    for path in sorted((ROOT / room).rglob("*")):
        ours = path.is_file() and path.suffix in READABLE and "vendor" not in path.parts
        if ours and path != Path(__file__):
            yield path


@pytest.mark.parametrize("room", ROOMS)
def test_code_and_templates_are_in_plain_english(room: str) -> None:
    found = [
        (name_of(path), phrase)
        for path in written_files(room)
        for phrase in BANNED
        if re.search(phrase, " ".join(text_of(path).split()), re.IGNORECASE)
    ]
    assert found == []


@pytest.mark.parametrize("room", CHECKED_ROOMS)
def test_docstrings_begin_with_a_short_line(room: str) -> None:
    first_lines = [
        (name_of(path), (ast.get_docstring(node) or "").partition("\n")[0])
        for path in written_files(room)
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert any(line for _, line in first_lines)
    assert [(name, line) for name, line in first_lines if len(line) > MAX_DOCSTRING_COLUMNS] == []


def test_the_readme_is_one_screen_after_another() -> None:
    assert len(text_of("README.md").splitlines()) <= MAX_README_LINES


def test_pictures_exist_have_a_description_and_are_small() -> None:
    for name, count in (("README.md", 1), ("docs/dashboard.md", 1)):
        shown = [(words, path) for is_picture, words, path in LINK.findall(text_of(name)) if is_picture]
        assert len(shown) == count
        assert all(words.endswith(".") and ((ROOT / name).parent / path).is_file() for words, path in shown)
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert all(picture.stat().st_size < MAX_PICTURE_BYTES for picture in pictures)


def test_all_settings_are_listed_with_their_defaults() -> None:
    shown = dict(reversed(ASSIGNMENT.findall(text_of(".env.example"))))
    rows = list(table_rows(text_of("docs/configuration.md")))
    assert sorted(row[0].strip("`") for row in rows) == sorted(shown)
    for variable, default, meaning in rows:
        name = variable.strip("`")
        assert meaning
        # A default is written down in both; for a setting without one the page says what happens.
        if shown[name] and name != "SENTRY_ENVIRONMENT":
            assert default.strip("`") == shown[name]
        else:
            assert default in ("", "required"), name


def test_all_commands_are_listed() -> None:
    listed = {row[0].strip("`").split()[0] for row in table_rows(text_of("docs/commands.md"))}
    app = Flask(__name__)
    cli.register(app)
    assert app.cli.commands.keys() == listed
    assert len(listed) >= 13


def test_all_log_events_are_listed() -> None:
    listed = {
        event
        for row in table_rows(text_of("docs/operations.md").partition("## The log")[2].partition("\n## ")[0])
        for event in re.findall(r"`([^`]+)`", row[0])
    }
    code = "".join(text_of(path) for folder in ("worker", "webhook_app") for path in (ROOT / folder).rglob("*.py"))
    logged = set(re.findall(r'LogEvent\(\s*"([^"]+)"', code))
    assert logged <= listed
    assert len(logged) > 10


def test_pages_name_files_that_exist() -> None:
    decisions = ROOT / "docs" / "adr"
    texts = [text_of(page) for page in PAGES if page.parent != decisions]
    named = {
        path for text in texts for path in re.findall(r"`((?:worker|webhook_app|tests|bench|docs)/[\w./-]+)`", text)
    }
    assert len(named) > 10
    assert {path for path in named if not (ROOT / path).exists()} == set()
