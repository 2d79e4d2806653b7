"""Read the rows of a file: CSV as programs and spreadsheets write it, or JSON.

CSV is RFC 4180 with any of ``DELIMITERS``, with or without Excel's ``sep=`` line. JSON is one object per line, an array
of objects, or one document that contains them. All may be compressed with gzip.
"""

import codecs
import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, TextIO, cast

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "jsonl", ".jsonl": "jsonl", ".ndjson": "jsonl"}
DELIMITERS = ",;\t|"
#: The first columns of a file of invalid rows (``--errors``). Its JSON has these keys and ``row``.
ERROR_COLUMNS = ("line", "problem")
#: Lines that a header may have: its names may contain line breaks.
MAX_HEADER_LINES = 200
#: The first line of a file that Excel wrote or should read.
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
#: The mark of UTF-8 and UTF-16, which stays where another encoding is given, and what a blank line contains.
BOM = "\ufeff"
BLANK = f" \t\r\n{BOM}"
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"


class BadFile(Exception):
    """The file cannot be imported; the text says why. Nothing was."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row with the line that it begins on, from 1; in a JSON document its number.

    ``value`` is a list of cells, or what was read from JSON; ``problem`` says why there is none. ``text`` is what was
    written, as far as it is known.
    """

    line: int
    value: object = field(repr=False)
    problem: str = ""
    text: str = field(default="", repr=False)


@contextmanager
def seekable(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; ``-`` and pipes are copied to a temporary file."""
    if path.is_file():
        with path.open("rb") as file:
            yield file
        return
    with TemporaryFile() as copy:
        with open(0, "rb", closefd=False) if str(path) == "-" else path.open("rb") as pipe:
            while block := pipe.read(1 << 20):
                copy.write(block)
        copy.seek(0)
        yield cast(BinaryIO, copy)


@contextmanager
def decoded(file: BinaryIO, encoding: str | None, form: str) -> Iterator[TextIO]:
    """Read a file as text from its beginning, and leave it open.

    A byte that is not in the encoding becomes half of a surrogate pair, so that only its row is invalid.

    Raises:
        BadFile: it is not a text file.
    """
    file.seek(0)
    stream: BinaryIO = file
    if file.read(4)[:2] == GZIP:
        file.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=file))
    stream.seek(0)
    head = stream.read(4)
    stream.seek(0)
    if head == ZIP:
        raise BadFile("This is a ZIP archive or an Excel workbook. Unpack it, or save it as CSV (UTF-8).")
    encoding = encoding or _guess(head)
    errors = "surrogatepass" if codecs.lookup(encoding).name.startswith("utf-16") else "surrogateescape"
    # JSON may contain any line break but this one; CSV needs them as they are.
    text = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="" if form == "csv" else "\n")
    try:
        yield text
    finally:
        text.detach()


def _guess(head: bytes) -> str:
    """Return the encoding of a file that begins so: UTF-16 has a mark, or NUL."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if head[:1] == b"\0" else "utf-8-sig"


class CsvTable:
    """A CSV file. ``names`` are given for a file without a header.

    Raises:
        BadFile: the file is empty.
    """

    def __init__(self, text: TextIO, names: Iterable[str] | None = None) -> None:
        lines = _Lines(text)
        first = next((line for line in lines if line.strip(BLANK)), "").removeprefix(BOM)
        delimiter = match[1] if (match := _SEP.fullmatch(first)) else ""
        if not delimiter:
            lines.push_back([first])
        header = _first_record(lines)
        lines.push_back(header)
        if not delimiter:
            unquoted = _QUOTED.sub("", "".join(header))
            delimiter = max(DELIMITERS, key=unquoted.count)
        self._lines = lines
        self._reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)
        try:
            self.names = list(names) if names else next(self._reader)
        except (csv.Error, StopIteration):
            raise BadFile("The first line must contain the names of the columns.") from None
        self._delimiter, self._width = delimiter, len(self.names)
        self._is_of_errors = tuple(self.names[:2]) == ERROR_COLUMNS
        if self._is_of_errors:
            del self.names[:2]

    def rows(self) -> Iterator[Row]:
        """Yield the rows below the header."""
        while True:
            line = self._lines.start()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                # A quotation mark that is not closed must not swallow the rows below it.
                text = self._lines.keep_first()
                cells = self._leniently(text)
                if not cells:
                    yield Row(line, None, "not CSV: a quotation mark is missing, or the row is too long", text)
                    continue
            if self._is_of_errors:
                del cells[:2]
            if any(cell and not cell.isspace() for cell in cells):
                yield Row(line, cells)

    def _leniently(self, line: str) -> list[str]:
        """Return the cells of a line whose quotation marks are closed, but untidy."""
        if line.count('"') % 2:
            return []
        with suppress(csv.Error):
            cells = next(csv.reader([line], delimiter=self._delimiter, skipinitialspace=True))
            return cells if len(cells) == self._width else []
        return []


class _Lines:
    """The lines of a file, of which the last record's can be read again."""

    def __init__(self, text: TextIO) -> None:
        self._text = iter(text)
        self._ahead: list[str] = []
        self._record: list[str] = []
        self._number = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.pop() if self._ahead else next(self._text)
        self._record.append(line)
        return line

    def start(self) -> int:
        """Begin a record; return the number of its first line, from 1."""
        self._number += len(self._record)
        self._record.clear()
        return self._number

    def push_back(self, lines: list[str]) -> None:
        """Read the last lines again."""
        self._ahead += reversed(lines)
        del self._record[len(self._record) - len(lines) :]

    def keep_first(self) -> str:
        """Read all lines of the record again but the first, which is returned."""
        self.push_back(self._record[1:])
        return self._record[0] if self._record else ""


def _first_record(lines: _Lines) -> list[str]:
    """Read the lines of the first record: a quoted name may contain line breaks."""
    record: list[str] = []
    marks = 0
    for line in lines:
        record.append(line)
        marks += line.count('"')
        if marks % 2 == 0 or len(record) == MAX_HEADER_LINES:
            break
    return record


class JsonTable:
    """A JSON file: an object per line, or one document with objects in it.

    ``each`` is the key of a list of objects in an object.
    """

    def __init__(self, text: TextIO, each: str = "") -> None:
        self._text = text
        self._each = each

    def rows(self) -> Iterator[Row]:
        """Yield the objects."""
        for row in self._values():
            inside = row.value.get(self._each) if isinstance(row.value, dict) else None
            if isinstance(inside, list):
                yield from (Row(number, element) for number, element in enumerate(inside, 1))
            elif row.problem or isinstance(row.value, dict):
                yield row
            else:
                yield Row(row.line, None, "not a JSON object", row.text or json.dumps(row.value, default=str))

    def _values(self) -> Iterator[Row]:
        first = next((line for line in enumerate(self._text, 1) if line[1].strip(BLANK)), None)
        if first is None:
            return
        first = (first[0], first[1].removeprefix(BOM))
        value = _parsed(first[1])
        if isinstance(value, dict) or (value is None and not first[1].lstrip().startswith(("[", "{"))):
            yield from self._lines(first)
            return
        rest = self._text.read()
        whole = _parsed(first[1] + rest)
        if isinstance(whole, list):
            yield from (Row(number, element) for number, element in enumerate(whole, 1))
        elif isinstance(whole, dict):
            yield Row(1, whole)
        else:
            self._text = io.StringIO(rest)
            yield from self._lines(first)

    def _lines(self, first: tuple[int, str]) -> Iterator[Row]:
        for line, text in chain([first], enumerate(self._text, first[0] + 1)):
            if text.strip():
                yield _json_row(line, text)


def _json_row(line: int, text: str) -> Row:
    value = _parsed(text)
    if isinstance(value, dict) and value.keys() == {*ERROR_COLUMNS, "row"}:
        inner = value["row"]
        return _json_row(line, inner) if isinstance(inner, str) else Row(line, inner)
    return Row(line, value, "not JSON" if value is None else "", text.rstrip("\n"))


def _parsed(text: str) -> object:
    try:
        return cast(object, json.loads(text, parse_float=Decimal))
    except (ValueError, RecursionError):
        return None
