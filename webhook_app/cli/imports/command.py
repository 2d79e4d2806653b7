"""``flask import``: accept contacts from a CSV or JSON file."""

import codecs
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import phonenumbers

from webhook_app.cli.commands import audit_options, cli
from webhook_app.cli.imports.formats import Format, load_formats
from webhook_app.cli.imports.importer import Target
from webhook_app.cli.imports.reading import SUFFIXES, BadFile
from webhook_app.cli.imports.run import audit, opened, run
from webhook_app.cli.imports.suggestions import closest
from webhook_app.parts import Parts, current_parts
from webhook_app.sources import Source
from webhook_app.sources.config import NAME
from webhook_app.sources.presets import PRESETS
from worker.errors import SettingsError
from worker.model import Origin
from worker.normalise import MAX_INBOX_ID

#: The source of imported contacts without ``--source``.
SOURCE = "import"
FORMS = ("csv", "jsonl")
#: The family of the presets for ids of any product.
GENERIC = "Your own code and common standards"


def _read_region(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise click.BadParameter('must be the two-letter code of a country, like "DE"')
    return value and value.upper()


def _read_space(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not NAME.fullmatch(value):
        raise click.BadParameter("must begin with a letter or digit, and have at most 64 of a-z, 0-9, - and _")
    return value


def _read_encoding(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        return value and codecs.lookup(value).name
    except LookupError:
        raise click.BadParameter('unknown; "utf-8" and "cp1252" are common') from None


def _read_maps(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    pairs = [value.rpartition("=") for value in values]
    if not all(column and name for column, _, name in pairs):
        raise click.BadParameter("must be COLUMN=FIELD")
    return tuple((column, name.strip()) for column, _, name in pairs)


def _read_format(_context: click.Context, _option: click.Parameter, value: str | None) -> Format | None:
    formats = load_formats()
    if value is not None and value not in formats:
        raise click.BadParameter(f"unknown{closest(value, formats)} Known: {', '.join(formats)}.")
    return formats[value] if value else None


@cli.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--source", metavar="NAME", help="Import as if this source had sent the contacts.")
@click.option(
    "--id-space", metavar="NAME", callback=_read_space, help="The system that issued the ids, without --source."
)
@click.option("--preset", metavar="NAME", callback=_read_format, help="The product that wrote the file; ? lists them.")
@click.option("--map", metavar="COLUMN=FIELD", multiple=True, callback=_read_maps, help="Use this column.")
@click.option("--ignore", metavar="COLUMN", multiple=True, help="Do not use this column.")
@click.option("--ignore-unknown", is_flag=True, help="Ignore all columns that are not used.")
@click.option("--errors", type=click.Path(dir_okay=False, path_type=Path), help="Write invalid rows to this file.")
@click.option("--force", is_flag=True, help="Replace the file of --errors.")
@click.option("--dry-run", is_flag=True, help="Check the file, and store nothing.")
@click.option("--format", "form", type=click.Choice(FORMS), help="By default, the suffix of the file's name.")
@click.option("--encoding", callback=_read_encoding, help="By default, UTF-8, or UTF-16 if it begins like that.")
@click.option("--region", metavar="DE", callback=_read_region, help="The country of phone numbers without a code.")
@click.option("--inbox-id", type=click.IntRange(1, MAX_INBOX_ID), help="The inbox for rows that have none.")
@audit_options
def import_contacts(file: Path, who: str, why: str, **options: Any) -> None:
    """Import the contacts in FILE; - reads standard input.

    They are sent after new signups and retries.

    CSV with a header, or JSON Lines: identifier (required), name, email, phone_number, avatar_url, inbox_id, country,
    email_verified. A column with another name stops the import before the first row, unless it is mapped or ignored.
    Several columns for one field are joined: --map "First Name=name" --map "Last Name=name".

    It is safe to import a file twice. Exit code: 0 all rows were imported, 1 some were not, 2 wrong usage or the file
    cannot be read (nothing was imported), 130 stopped by Ctrl-C.
    """
    parts = current_parts()
    target = find_target(parts, options["source"], options["preset"], options["region"], options["inbox_id"])
    if options["id_space"]:
        if options["source"]:
            raise click.UsageError("A source has its own id space: give --source or --id-space.")
        target = replace(target, origin=replace(target.origin, id_space=options["id_space"]))
    errors: Path | None = options["errors"]
    if errors and errors.exists() and file.exists() and errors.samefile(file):
        raise click.UsageError("--errors must be another file.")
    form = options["form"] or _form_of(file, options["preset"])
    try:
        with opened(file, form, options, target) as prepared:
            report = run(parts, prepared, target, options)
    except BadFile as error:
        raise click.UsageError(str(error)) from error
    audit(parts, report, target, prepared, who, why)
    raise SystemExit(report.exit_code)


def _form_of(file: Path, preset: Format | None) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in SUFFIXES:
        return SUFFIXES[suffixes[-1]]
    if preset:
        return "jsonl" if preset.is_json else "csv"
    raise click.UsageError("The file's name has no known suffix: give --format.")


def find_target(
    parts: Parts, source_name: str | None, preset: Format | None, region: str | None, inbox_id: int | None
) -> Target:
    source = _source(parts, source_name, preset)
    if source is None:
        target = Target(Origin(SOURCE), region=region, inbox_id=inbox_id, needs_inbox=parts.inbox_id is None)
        return _of_product(target, preset) if preset else target
    return Target(
        source.origin,
        source.id_prefix,
        region or source.region,
        inbox_id or source.inbox_id,
        parts.inbox_id is None,
        source.allow_identifiers,
        source.html_entities,
    )


def _of_product(target: Target, product: Format) -> Target:
    """Return a target whose ids are those of a product, and of nobody else's file."""
    origin = replace(target.origin, identity=product.identity, id_space=f"{SOURCE}-{product.name}")
    return replace(target, origin=origin, id_prefix=product.id_prefix, html_entities=product.html_entities)


def _source(parts: Parts, name: str | None, preset: Format | None) -> Source | None:
    """Return the source to import into.

    Raises:
        click.UsageError: there is none with this name, or it has the ids of another product.
    """
    if name is None:
        _hint_at_source(parts, preset)
        return None
    source = parts.sources.get(name)
    if source is None:
        known = f" The sources are: {', '.join(parts.sources)}." if parts.sources else ""
        raise click.UsageError(f'There is no source "{name}"{closest(name, parts.sources)}{known}')
    is_product = source.preset and PRESETS[source.preset]["family"] != GENERIC
    if preset and is_product and source.preset not in preset.presets:
        raise click.UsageError(
            f"The source {name} has the ids of {PRESETS[source.preset or '']['title']}, and the file those of "
            f"{preset.title}: two people could have the same."
        )
    return source


def _hint_at_source(parts: Parts, preset: Format | None) -> None:
    """Print the name of a source that has the same ids as the file."""
    with suppress(SettingsError):  # most imports need no sources
        same = sorted(name for name, one in parts.sources.items() if preset and one.preset in preset.presets)
        if same:
            click.echo(
                f"The source {same[0]} has the same ids: --source {same[0]} imports into its id space.", err=True
            )
