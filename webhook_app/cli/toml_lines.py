"""The lines of the tables and keys in a TOML file, which ``tomllib`` does not report.

This understands just enough of TOML to find where a statement begins; ``tomllib`` decides whether the file is valid.
"""

import re
from collections.abc import Iterator, Mapping

#: The tokens that matter: strings and comments (so that their content does not), brackets, line ends.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]|\n', re.DOTALL
)
_NAME = r"""(?:"((?:\\.|[^"\\\n])*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))"""
_PART = re.compile(_NAME)
_KEY = re.compile(rf"\s*{_NAME}(?:\s*\.\s*{_NAME})*")

Key = tuple[str, ...]


def lines_of(text: str) -> Mapping[Key, int]:
    """Return the line of every table and key, from 1. A table without a header has the line of its first key."""
    lines: dict[Key, int] = {}
    implied: dict[Key, int] = {}
    table: Key = ()
    for number, statement in _statements(text):
        key = read_key(statement.lstrip().lstrip("["))
        if statement.lstrip().startswith("["):
            table = whole = key
        else:
            whole = table + key
        lines.setdefault(whole, number)
        for length in range(1, len(whole)):
            implied.setdefault(whole[:length], number)
    return {**implied, **lines}


def line_of(lines: Mapping[Key, int], key: Key) -> int:
    """Return the line of a key, or of the closest table around it."""
    return next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), 1)


def read_key(text: str) -> Key:
    """Return the dotted key at the start of ``text``: ``("map", "email")`` for ``map.email = 1``, or an empty one."""
    match = _KEY.match(text)
    return tuple("".join(groups) for groups in _PART.findall(match[0])) if match else ()


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with the number of its first line. It ends with a line that no bracket or string spans."""
    begin, depth, number = 0, 0, 1
    for token in _TOKEN.finditer(f"{text}\n"):
        depth += token[0] in ("[", "{")
        depth -= token[0] in ("]", "}")
        if token[0] == "\n" and depth <= 0:
            statement = text[begin : token.start()]
            if statement.strip() and not statement.lstrip().startswith("#"):
                yield number, statement
            number += statement.count("\n") + 1
            begin, depth = token.end(), 0
