"""``flask sources``: list the senders you accept; ``check`` validates their file.

``flask sources try`` is in ``try_delivery``.
"""

import json
import os
import re
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from webhook_app.cli.commands import Group, cli, json_option
from webhook_app.cli.output import print_table, when
from webhook_app.configuration import sources_given
from webhook_app.parts import current_parts
from webhook_app.present.wording import counted
from webhook_app.sources import load_sources
from webhook_app.sources.config import read_tables
from webhook_app.sources.inventory import Listed, take_inventory
from webhook_app.sources.warnings import find_warnings
from worker.errors import SettingsError, StoreError

#: The path of a key in a TOML file.
Key = tuple[str, ...]
#: How sentences about a source begin, and how those of tomllib end.
_SOURCE = re.compile(r"\[sources\.([^\]]+)\] (.*)", re.DOTALL)
_SYNTAX_LINE = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")


@cli.group("sources", cls=Group, invoke_without_command=True)
@json_option
@click.pass_context
@with_appcontext
def sources(context: click.Context, as_json: bool) -> None:
    """List the senders you accept, and when secrets were last used."""
    if context.invoked_subcommand is not None:
        return
    listed = take_inventory(*sources_given(os.environ), os.environ)
    used = _secrets_used()
    if as_json:
        click.echo(json.dumps([_document(source, used) for source in listed], indent=2))
        return
    for source in listed:
        click.echo(source.name)
        print_table(_lines(source, used), indent="  ")
    if used is None:
        click.echo("\nRedis is unavailable: it is unknown when secrets were last used.", err=True)
    if any(source.mistakes for source in listed):
        click.echo("\nThere are mistakes: flask sources check prints their lines.", err=True)


@sources.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings are mistakes, too.")
def check(file: Path | None, strict: bool) -> None:
    """Check a sources FILE; by default the one in SOURCES_FILE.

    The secrets that the file names must be set. Redis and the other settings are not needed. Prints mistakes, and
    warnings of what works but is probably not meant. Exit code: 0 the file is valid, 1 it has mistakes.
    """
    environ: Mapping[str, str] = os.environ
    path, secret = sources_given(environ)
    try:
        if file is not None:
            path, secret, environ = file, None, {**environ, "SOURCES_FILE": str(file)}
        found = load_sources(path, secret, environ)
    except SettingsError as error:
        for problem in error.problems:
            click.echo(_located(path, problem))
        raise SystemExit(1) from None
    warnings = find_warnings(read_tables(path), found) if path.exists() else []
    for sentence in warnings:
        click.echo(_located(path, f"{path}: {sentence}").replace(": [sources.", ": warning: [sources.", 1))
    click.echo(f"OK: {counted(len(found), 'source')}" + (f", {counted(len(warnings), 'warning')}" if warnings else ""))
    if strict and warnings:
        raise SystemExit(1)


def _located(path: Path, problem: str) -> str:
    """Return a sentence of ``load_sources`` with its line: ``file:line: sentence``."""
    sentence = problem.removeprefix(f"{path}: ")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    if sentence == problem or not text:
        return problem
    return f"{path}:{_line(text, sentence)}: {sentence}"


def _line(text: str, sentence: str) -> int:
    if match := _SYNTAX_LINE.search(sentence):
        return int(match[1])
    if sentence.endswith("(at end of document)."):
        return len(text.splitlines())
    lines = lines_of(text)
    source = _SOURCE.fullmatch(sentence)
    if source is None:
        return line_of(lines, read_key(sentence))
    name, rest = source.groups()
    key = read_key(rest)
    if rest.startswith(("$", "secret ", "secrets number ")) or key == ("secret",):
        key = ("secret",) if ("sources", name, "secret") in lines else ("secrets",)
    return line_of(lines, ("sources", name, *key))


def lines_of(text: str) -> Mapping[Key, int]:
    """Return the line of every table and key in a valid TOML file, from 1.

    ``tomllib`` does not report lines. A statement is the shortest run of lines that it can parse, so its first line is
    that of each key in it. A table without a header has the line of its first key.
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    statement, first = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        statement += f"{line}\n"
        try:
            found = list(_keys_in(tomllib.loads(statement)))
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            *parents, table = found
            lines = {**dict.fromkeys(parents, first), **lines, table: first}
        else:
            lines = {**{(*table, *key): first for key in found}, **lines}
        statement, first = "", number + 1
    return lines


def line_of(lines: Mapping[Key, int], key: Key) -> int:
    """Return the line of a key, or of the closest table around it."""
    return next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), 1)


def read_key(sentence: str) -> Key:
    """Return the key before the colon: ``("map", "email")`` for ``map.email: ...``."""
    for colon in re.finditer(":", sentence):
        with suppress(tomllib.TOMLDecodeError):
            return list(_keys_in(tomllib.loads(f"{sentence[: colon.start()]} = 0")))[-1]
    return ()


def _keys_in(table: Mapping[str, Any], before: Key = ()) -> Iterator[Key]:
    for name, value in table.items():
        yield (*before, name)
        if isinstance(value, dict):
            yield from _keys_in(value, (*before, name))


def _secrets_used() -> Mapping[str, int] | None:
    """Return when each secret was last used; ``None`` if that is unknown."""
    try:
        return current_parts().store.secret_uses.read()
    except (SettingsError, StoreError):
        return None


def _public_url() -> str:
    """Return PUBLIC_URL, or ``""`` if it is not set or the settings have mistakes."""
    try:
        return current_parts().public_url or ""
    except SettingsError:
        return ""


def _lines(source: Listed, used: Mapping[str, int] | None) -> list[tuple[str, str]]:
    return [
        ("address", f"POST {_public_url()}{source.address}"),
        *((("preset", source.preset),) if source.preset else ()),
        ("verified by", ", ".join(source.schemes) or "-"),
        *(("secret", f"{name}: {_secret(source, name, used)}") for name in source.secrets),
        *(("needs", need) for need in source.needs),
        ("identity", f"{source.identity}, id space {source.id_space}"),
        *((("id_prefix", source.id_prefix),) if source.id_prefix else ()),
        ("on_conflict", source.on_conflict),
        ("on_change", source.on_change),
        ("on_delete", source.on_delete),
        ("on_invalid", source.on_invalid),
        ("region", source.region or "-"),
        ("inbox", str(source.inbox_id or "LIVEDESK_INBOX_ID")),
        *(("mistake", mistake) for mistake in source.mistakes),
    ]


def _secret(source: Listed, name: str, used: Mapping[str, int] | None) -> str:
    if not source.secrets[name]:
        return "not set"
    if used is None:
        return "set, last use unknown"
    at = used.get(f"{source.name}:{name}")
    return f"set, last used {when(at, int(time.time() * 1000))}" if at else "set, never used"


def _document(source: Listed, used: Mapping[str, int] | None) -> dict[str, Any]:
    secrets = [
        {"name": name, "set": is_set, "last_used_ms": (used or {}).get(f"{source.name}:{name}")}
        for name, is_set in source.secrets.items()
    ]
    extra = {"address": source.address, "secrets": secrets, "last_use_known": used is not None}
    return {**asdict(source), **extra}
