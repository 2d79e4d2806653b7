"""Where in a TOML file something stands: ``tomllib`` reads values and forgets the lines.

This knows just enough of TOML to tell where a statement begins. Whether the file is right is for ``tomllib`` to say.
"""

import re
from collections.abc import Iterator, Mapping

#: What counts in a statement: strings and comments, so that what is in them does not; brackets; the ends of lines.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]|\n', re.DOTALL
)
_NAME = r"""(?:"((?:\\.|[^"\\\n])*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))"""
_PART = re.compile(_NAME)
_KEY = re.compile(rf"\s*{_NAME}(?:\s*\.\s*{_NAME})*")

Key = tuple[str, ...]


def lines_of(text: str) -> Mapping[Key, int]:
    """The line of every table and key, counted from 1; of a table without a header the line of its first key."""
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
    """The line of a key, or of the nearest that is around it."""
    return next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), 1)


def read_key(text: str) -> Key:
    """The dotted key that ``text`` begins with: ``("map", "email")`` for ``map.email = ...``; else an empty one."""
    match = _KEY.match(text)
    return tuple("".join(groups) for groups in _PART.findall(match[0])) if match else ()


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """What stands between the ends of lines that no bracket or string encloses, with the number of its first line."""
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
