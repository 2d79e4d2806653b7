"""What is reported about an import: counts, and problems by kind."""

import csv
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from webhook_app.cli.imports.reading import ERROR_COLUMNS, BadFile, Row
from webhook_app.cli.output import printable
from webhook_app.present.csv_export import bare, guarded
from webhook_app.present.wording import counted

#: Lines that are listed for each kind of problem.
MAX_LINES = 10


@dataclass(slots=True)
class Kinds:
    """Counts by kind, with the first lines of each."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, line: int) -> None:
        self.counts[kind] += 1
        lines = self.lines.setdefault(kind, [])
        if len(lines) < MAX_LINES:
            lines.append(line)

    def sentences(self, unit: str) -> list[str]:
        """Return one line of text for each kind, the most frequent first."""
        return [self._sentence(kind, count, unit) for kind, count in self.counts.most_common()]

    def _sentence(self, kind: str, count: int, unit: str) -> str:
        lines = self.lines[kind]
        more = ", ..." if count > len(lines) else ""
        units = unit if count == 1 else f"{unit}s"
        return f"  {count:>6,}  {printable(kind)} ({units} {', '.join(map(str, lines))}{more})"


class ErrorsFile:
    """The invalid rows, to be fixed and imported again.

    CSV: line and problem, then the cells as they were. JSON Lines: objects with ``line``, ``problem`` and ``row``. The
    file can be read by its owner only, and is removed if there are no invalid rows.

    Raises:
        BadFile: the file exists and ``force`` is not set, or it cannot be written.
    """

    def __init__(self, path: Path, names: Sequence[str] | None, *, force: bool) -> None:
        self.path = path
        self.count = 0
        try:
            if force and path.is_file():
                path.unlink()
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise BadFile(f"{path} exists; --force replaces it.") from None
        except OSError as error:
            raise BadFile(f"{path} cannot be written: {error.strerror}.") from error
        self._file: TextIO = os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="")
        self._csv = None if names is None else csv.writer(self._file)
        if self._csv:
            self._csv.writerow([*ERROR_COLUMNS, *(names or ())])

    def add(self, row: Row, problem: str) -> None:
        self.count += 1
        if self._csv:
            cells = row.value if isinstance(row.value, list) else [row.text.rstrip("\r\n")]
            self._csv.writerow([row.line, guarded(problem), *(guarded(bare(cell)) for cell in cells)])
        else:
            self._file.write(_json_line(row, problem))

    def close(self) -> None:
        self._file.close()
        if not self.count:
            self.path.unlink(missing_ok=True)


def _json_line(row: Row, problem: str) -> str:
    """Return an object with the row exactly as it was written."""
    if row.text and isinstance(row.value, dict):
        written = row.text.strip()
    else:
        written = json.dumps(row.text if row.value is None else row.value, ensure_ascii=False, default=str)
    return f'{{"line": {row.line}, "problem": {json.dumps(problem)}, "row": {written}}}\n'


@dataclass(slots=True)
class Report:
    """The result of an import so far.

    ``unit`` is what rows are counted in. ``stopped`` says why the import ended early, and ``signal`` by which signal.
    ``unknown`` rows may be stored or not.
    """

    unit: str = "line"
    errors: ErrorsFile | None = None
    is_dry_run: bool = False
    stopped: str = ""
    unknown: int = 0
    signal: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    invalid: Kinds = field(default_factory=Kinds)
    notes: Kinds = field(default_factory=Kinds)

    def reject(self, row: Row, problems: Mapping[str, str]) -> None:
        """Count an invalid row, and write it to the file of errors."""
        kind = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        self.counts["invalid"] += 1
        self.invalid.add(kind, row.line)
        if self.errors:
            self.errors.add(row, kind)

    @property
    def exit_code(self) -> int:
        """0 for all rows, 1 for some, 128 and the number of the signal."""
        return 128 + self.signal if self.signal else int(bool(self.stopped or self.counts["invalid"]))

    def summary(self) -> str:
        """``2 accepted, 1 updated, 3 duplicate, 4 invalid.``"""
        if self.is_dry_run:
            valid = f"{counted(self.counts['valid'], 'row')} can be imported"
            return f"{valid}, {self.counts['invalid']:,} invalid. Nothing was stored: this was a dry run."
        names = ["accepted", "updated", "duplicate", *(["ignored"] if self.counts["ignored"] else []), "invalid"]
        return ", ".join(f"{self.counts[name]:,} {name}" for name in names) + "."

    def details(self) -> list[str]:
        """Return lines about the invalid rows and the notes."""
        lines: list[str] = []
        if self.notes.counts:
            lines += ["Imported with changes:", *self.notes.sentences(self.unit)]
        if self.invalid.counts:
            lines += [f"{counted(self.counts['invalid'], 'row')} not imported:", *self.invalid.sentences(self.unit)]
            where = f"{self.errors.path} contains them, to be fixed and imported again." if self.errors else ""
            lines.append(where or "--errors FILE writes them to a file, to be fixed and imported again.")
        return lines
