"""``flask sources``: who may send. ``flask sources check``: whether the file that says so is right."""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhook_app.cli.output import columns, sentences, when
from webhook_app.cli.toml_lines import line_of, lines_of, read_key
from webhook_app.configuration import sources_given
from webhook_app.sources import load_sources
from webhook_app.sources.inventory import Listed, take_inventory
from worker.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: How ``config`` begins a sentence about a source, and tomllib ends one.
_ABOUT = re.compile(r"\[sources\.([^\]]+)\] (.*)", re.DOTALL)
_SYNTAX_LINE = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")


def command(parts: "Callable[[], Parts]") -> click.Group:
    @click.group("sources", invoke_without_command=True)
    @click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
    @click.pass_context
    def sources(context: click.Context, as_json: bool) -> None:
        """List who may send, what each needs, and when its secrets were last used."""
        if context.invoked_subcommand is None:
            _list(parts, as_json)

    sources.add_command(_check)
    return sources


@click.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def _check(file: Path | None) -> None:
    """Say what is wrong with a sources FILE; without one, with that of SOURCES_FILE.

    Neither Redis nor LiveDesk's settings are needed, but the secrets that the file names are.
    """
    environ = os.environ
    path, secret = sources_given(environ)
    try:
        if file is not None:
            path, secret, environ = file, None, {**environ, "SOURCES_FILE": str(file)}  # type: ignore[assignment]
        found = load_sources(path, secret, environ)
    except SettingsError as error:
        for problem in error.problems:
            click.echo(located(path, problem))
        raise SystemExit(1) from None
    click.echo(f"OK: {len(found)} {'source' if len(found) == 1 else 'sources'}")


def located(path: Path, problem: str) -> str:
    """A sentence of ``load_sources`` with the line that it is about: ``file:line: sentence``."""
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
    about = _ABOUT.fullmatch(sentence)
    if about is None:
        return line_of(lines, read_key(sentence))
    name, said = about.groups()
    key = read_key(said) if ":" in said else ()
    if said.startswith(("$", "number ")) or key == ("secret",):
        key = ("secret",) if ("sources", name, "secret") in lines else ("secrets",)
    return line_of(lines, ("sources", name, *key))


def _list(parts: "Callable[[], Parts]", as_json: bool) -> None:
    with sentences():
        listed = take_inventory(*sources_given(os.environ), os.environ)
    used = _secrets_used(parts)
    if as_json:
        click.echo(json.dumps([_document(source, used) for source in listed], indent=2))
        return
    for source in listed:
        click.echo(f"{source.name}\n" + "\n".join(f"  {line}" for line in _lines(source, used)))
    if used is None:
        click.echo("\nWhen secrets were last used is not known: Redis cannot be asked.", err=True)
    if any(source.mistakes for source in listed):
        click.echo("\nThere are mistakes: `flask sources check` says on which line.", err=True)


def _secrets_used(parts: "Callable[[], Parts]") -> Mapping[str, int] | None:
    """``None`` where nobody can tell; the list is worth seeing all the same."""
    try:
        return parts().store.secret_uses.read()
    except (SettingsError, StoreError):
        return None


def _lines(source: Listed, used: Mapping[str, int] | None) -> list[str]:
    rows = [
        ("address", f"POST {source.address}"),
        *((("preset", source.preset),) if source.preset else ()),
        ("verified by", ", ".join(source.schemes) or "-"),
        *(("secret", f"{name}: {_secret(source, name, used)}") for name in source.secrets),
        *(("needs", need) for need in source.needs),
        ("on_invalid", source.on_invalid),
        ("region", source.region or "-"),
        ("inbox", str(source.inbox_id or "LIVEDESK_INBOX_ID")),
        *(("mistake", mistake) for mistake in source.mistakes),
    ]
    return columns(rows)


def _secret(source: Listed, name: str, used: Mapping[str, int] | None) -> str:
    if not source.secrets[name]:
        return "not set"
    if used is None:
        return "set, last use unknown"
    at = used.get(f"{source.name}:{name}")
    return f"set, last used {when(at, time.time() * 1000)}" if at else "set, never used"


def _document(source: Listed, used: Mapping[str, int] | None) -> dict[str, Any]:
    secrets = [
        {"name": name, "set": is_set, "last_used_ms": (used or {}).get(f"{source.name}:{name}")}
        for name, is_set in source.secrets.items()
    ]
    return {
        "name": source.name,
        "address": source.address,
        "preset": source.preset,
        "schemes": list(source.schemes),
        "secrets": secrets,
        "last_use_known": used is not None,
        "needs": list(source.needs),
        "on_invalid": source.on_invalid,
        "region": source.region,
        "inbox_id": source.inbox_id,
        "mistakes": list(source.mistakes),
    }
