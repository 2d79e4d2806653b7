"""One run of ``flask import``: opens the file, imports, reports, records."""

import gzip
import hashlib
import re
import signal
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import click

from webhook_app.cli.imports.columns import Plan, Wanted, make_plan
from webhook_app.cli.imports.formats import Format
from webhook_app.cli.imports.importer import Importer, Stop, Target
from webhook_app.cli.imports.reading import BadFile, CsvTable, JsonTable, decoded, seekable
from webhook_app.cli.imports.report import ErrorsFile, Report
from webhook_app.parts import Parts
from webhook_app.present.wording import counted
from worker.errors import StoreError, StoreFull
from worker.model import Way

#: Digits of the file's hash in the audit log. The file's name may be a person's.
HASH_DIGITS = 12
#: Keys of an object in JSON of which the paths are suggested.
MAX_NESTED = 50
_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]*")
#: Rows between two updates of the progress bar.
BAR_STEP = 200
UNREADABLE = (OSError, EOFError, UnicodeError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file whose columns are understood, at its first row."""

    file: BinaryIO = field(repr=False)
    table: CsvTable | JsonTable = field(repr=False)
    plan: Plan
    size: int
    digest: str


@contextmanager
def opened(path: Path, form: str, options: Mapping[str, Any], target: Target) -> Iterator[Prepared]:
    """Open a file and decide which column is which field.

    Raises:
        BadFile: it cannot be read, or a column is unknown. Nothing was imported.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(seekable(path))
            prepared = _prepare(file, form, options, target, stack)
        except UNREADABLE as error:
            raise BadFile(f"The file cannot be read: {error}.") from error
        yield prepared


def _prepare(file: BinaryIO, form: str, options: Mapping[str, Any], target: Target, stack: ExitStack) -> Prepared:
    digest, size = hashlib.sha256(), 0
    while block := file.read(1 << 20):
        digest.update(block)
        size += len(block)
    preset: Format | None = options["preset"]
    wanted = Wanted(preset, options["map"], options["ignore"], options["ignore_unknown"], target.allow_identifiers)
    table: CsvTable | JsonTable
    nested: dict[str, dict[str, str]] = {}
    if form == "csv":
        table = CsvTable(
            stack.enter_context(decoded(file, options["encoding"], form)), preset.columns if preset else None
        )
        names = table.names
    else:
        # A key that only a later row has must also stop the import before the first.
        with decoded(file, options["encoding"], form) as text:
            names, nested = _keys(JsonTable(text, preset.each if preset else ""))
        text = stack.enter_context(decoded(file, options["encoding"], form))
        table = JsonTable(text, preset.each if preset else "")
    plan = make_plan(names, wanted, is_json=form != "csv", nested=nested)
    return Prepared(file, table, plan, size, digest.hexdigest()[:HASH_DIGITS])


def _keys(table: JsonTable) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return the keys of all objects, and the paths below each that has some.

    A path has the name of its last key.
    """
    keys: dict[str, None] = {}
    nested: dict[str, dict[str, str]] = {}
    for row in table.rows():
        for key, value in row.value.items() if isinstance(row.value, dict) else ():
            keys[key] = None
            if isinstance(value, dict | list):
                nested.setdefault(key, {}).update(_paths(_step(key), key, value))
    return list(keys), nested


def _paths(path: str, name: str, value: object, depth: int = 2) -> Iterator[tuple[str, str]]:
    """Yield the paths of the texts and numbers in a value, ``depth`` levels deep."""
    if isinstance(value, list):
        yield from _paths(f"{path}[0]", name, value[0], depth) if value else ()
    elif not isinstance(value, dict):
        yield path, name
    elif depth:
        for key, inside in islice(value.items(), MAX_NESTED):
            yield from _paths(path + ("." if _PLAIN.fullmatch(key) else "") + _step(key), key, inside, depth - 1)


def _step(key: str) -> str:
    """Return a key as part of a path."""
    return key if _PLAIN.fullmatch(key) else "['" + key.replace("\\", "\\\\").replace("'", "\\'") + "']"


def run(parts: Parts, prepared: Prepared, target: Target, options: Mapping[str, Any]) -> Report:
    """Import the rows, print what happened, and return it.

    Raises:
        BadFile: the file of invalid rows cannot be written. Nothing was imported.
    """
    names = prepared.table.names if isinstance(prepared.table, CsvTable) else None
    errors = ErrorsFile(options["errors"], names, force=options["force"]) if options["errors"] else None
    report = Report("row" if names is None else "line", errors, is_dry_run=options["dry_run"])
    _announce(prepared.plan, options)
    importer = Importer(prepared.plan, target, report, None if report.is_dry_run else parts.store.contacts)
    with closing(errors) if errors else nullcontext():
        _import(prepared, importer)
    _print(report, importer.next_line, target.origin.source)
    return report


def _import(prepared: Prepared, importer: Importer) -> None:
    """Import the rows; the report says why if it ended early."""
    stop, report = Stop(), importer.report
    with stop.listening():
        try:
            _import_rows(prepared, importer, stop)
        except StoreFull as error:
            report.stopped = f"There is no room for more now: {error}"
        except StoreError as error:
            report.stopped = f"Redis cannot be used: {error}"
        except UNREADABLE as error:
            report.stopped = f"The file cannot be read: {error}"
        except KeyboardInterrupt:
            stop.number = signal.SIGINT
    if stop.number:
        report.stopped, report.signal = f"Stopped by {signal.Signals(stop.number).name}", stop.number


def _print(report: Report, next_line: int, source: str) -> None:
    for line in report.details():
        click.echo(line, err=True)
    click.echo(report.summary())
    if report.counts["accepted"] or report.counts["updated"]:
        click.echo(f"flask contacts list --state pending --source {source} lists those that wait.", err=True)
    if report.stopped:
        more = f" Up to {report.unknown} more may be." if report.unknown else ""
        before = f"The {report.unit}s before {next_line} are imported.{more}"
        click.echo(f"{report.stopped}. {before} Import the file again to continue.", err=True)


def _import_rows(prepared: Prepared, importer: Importer, stop: Stop) -> None:
    """Import the rows until the end, or until a signal arrives.

    Raises:
        StoreError: Redis cannot be used.
    """
    done = 0
    with click.progressbar(length=prepared.size, label="Importing", file=sys.stderr) as bar:
        for number, row in enumerate(prepared.table.rows()):
            if stop.number:
                break
            importer.add(row)
            if number % BAR_STEP == 0:
                at = prepared.file.tell()
                bar.update(at - done)
                done = at
        importer.flush()
        bar.update(prepared.size - done)


def _announce(plan: Plan, options: Mapping[str, Any]) -> None:
    """Print which columns are used, where that was not plain from their names."""
    if not (options["preset"] or options["map"] or options["dry_run"]):
        return
    used = (
        f"{name} from {', '.join(' '.join(column.split()) for column in columns)}"
        for name, columns in plan.used.items()
    )
    click.echo(f"Columns: {'; '.join(used)}.", err=True)
    if plan.unused:
        click.echo(f"Not used: {', '.join(' '.join(name.split()) for name in plan.unused)}.", err=True)


def audit(parts: Parts, report: Report, target: Target, prepared: Prepared, who: str, why: str) -> None:
    """Record an import, also one that was stopped. The file is named by its hash."""
    if report.is_dry_run:
        return
    counts = ", ".join(f"{report.counts[name]:,} {name}" for name in ("updated", "duplicate", "invalid"))
    more = f", up to {report.unknown} more may be stored" if report.unknown else ""
    stopped = f"; {report.stopped}{more}" if report.stopped else ""
    did = f"imported {counted(report.counts['accepted'], 'contact')} ({counts}) from file {prepared.digest}{stopped}"
    try:
        parts.store.audit.add(who, did, target.origin.source, why, way=Way.CLI)
    except StoreError as error:
        click.echo(f"The import is not in the audit log: {error}.", err=True)
