"""Explains why a file cannot be imported, and what to do about its columns."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from webhook_app.cli.imports.formats import fold, load_formats
from webhook_app.cli.imports.suggestions import closest, field_named
from webhook_app.sources.mapping.entry import NAMES

if TYPE_CHECKING:
    from webhook_app.cli.imports.columns import Columns, Wanted

#: How many columns are listed in a message.
MAX_LISTED = 20
#: The share of columns by which the export of a product is recognised.
MIN_SHARE = 0.5
#: What a shell reads as it is, and what it interprets between double quotation marks.
_NO_QUOTES, _SHELL, _BACKSLASH = re.compile(r"[\w=.@-]+"), re.compile(r'[$`"\\]'), r"\\\g<0>"
HOW = "Map a column with --map COLUMN=FIELD or ignore it with --ignore COLUMN; --ignore-unknown ignores them all."


def find_problems(
    columns: "Columns", rules: Mapping[str, object], unknown: Sequence[str], wanted: "Wanted"
) -> list[str]:
    """Return every reason why the file cannot be imported so, in sentences."""
    if not columns.names and not columns.problems:
        return ["The file has no rows."]
    missing = [name for name in wanted.ignored if columns.key(name) not in columns.keys]
    problems = [*columns.problems]
    problems += [f"--ignore {name}: no such column{closest(name, columns.names)}" for name in missing]
    if "identifier" not in rules and not problems:
        problems.append(_no_identifier(columns, unknown, wanted))
    if not wanted.ignores_unknown:
        problems += _questions(columns, rules, unknown, wanted)
    return problems + [f"There is more than one column {name}." for name in columns.repeated()]


def _no_identifier(columns: "Columns", unknown: Sequence[str], wanted: "Wanted") -> str:
    if wanted.format:
        text = f"This is not an export of {wanted.format.title}: it has no column with the identifier."
        return f"{text} It has {_listed(columns.names)}."
    what = "The objects must have the key" if columns.is_json else "The first line must name the columns, including"
    has_candidate = any(field_named(name) == "identifier" for name in unknown)
    if not has_candidate and "email" in columns.keys:
        return f"{what} identifier. If people are identified by their e-mail address: --map email=identifier."
    return f"{what} identifier. The fields are {', '.join(NAMES)}; the file has {_listed(columns.names)}."


def _questions(columns: "Columns", rules: Mapping[str, object], unknown: Sequence[str], wanted: "Wanted") -> list[str]:
    """Return a line for each unknown column that somebody has to decide about.

    An export has columns of the user's own, so only those matter that could be a field that was not found.
    """
    named = {name: field_named(name) for name in unknown}
    if wanted.format:
        named = {name: found for name, found in named.items() if found and found not in rules}
    if not named:
        return []
    lines = [line for name, found in list(named.items())[:MAX_LISTED] for line in _question(columns, name, found)]
    if len(named) > MAX_LISTED:
        lines.append(f"and {len(named) - MAX_LISTED} more")
    product = [] if wanted.format else _product(columns)
    return ["Unknown columns:", *(f"  {line}" for line in lines), *product, HOW]


def _question(columns: "Columns", name: str, found: str | None) -> Iterator[str]:
    shown = " ".join(name.split())
    inside = {path: field for path, last in columns.nested.get(name, {}).items() if (field := field_named(last))}
    if inside:
        yield from (f'{path}: did you mean "{field}"? --map {_quoted(path, field)}' for path, field in inside.items())
    elif found and name not in columns.nested:
        yield f'{shown}: did you mean "{found}"? --map {_quoted(shown, found)}'
    else:
        yield f"{shown}: unknown column"


def _quoted(column: str, name: str) -> str:
    """Return the value of ``--map`` as a shell reads it."""
    written = f"{column}={name}"
    return written if _NO_QUOTES.fullmatch(written) else f'"{_SHELL.sub(_BACKSLASH, written)}"'


def _product(columns: "Columns") -> list[str]:
    """Return a hint at the format whose sample has the most of these columns."""
    formats = load_formats()
    shares = {name: _share({fold(column) for column in columns.names}, one.known) for name, one in formats.items()}
    for name, one in formats.items():
        inside = set(map(fold, columns.nested.get(one.each, {}).values()))
        shares[name] = max(shares[name], _share(inside, one.known))
    best = max(shares, key=lambda name: shares[name])
    return [f"This looks like an export of {formats[best].title}: --preset {best}."] if shares[best] > MIN_SHARE else []


def _share(here: Collection[str], known: Collection[str]) -> float:
    return len({*here} & {*known}) / len({*here} | {*known})


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return (", ".join(" ".join(name.split()) for name in names[:MAX_LISTED]) or "no columns") + more
