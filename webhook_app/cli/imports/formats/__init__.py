"""The formats in which products export their people, one TOML file each.

A file has these keys:

``title``, ``documentation``  the product, and the page that describes the export
``presets``         the presets for its webhooks: the identifiers are the same as theirs, so that both find each other
``how``             how to export, a sentence
``columns``         the names of the columns, for a file without a header
``each``            the key of the list of people in a JSON document
``map``             as in ``sources.toml``, but a text is the name of a column, or with ``$`` a path in JSON
``only_if``, ``ignore_if``  as in ``sources.toml``, with the name of a column for a path
``ignores_unreachable``  whether people without an e-mail address and a phone number are ignored
``is_form``         whether columns have the titles of questions, of which ``map`` can use ``{ answer = "email" }``
``json_columns``    columns of CSV whose cells are JSON, in which paths find something
``sample``          a header as the product writes it, and made-up people
``notes``           what to know about it, for ``docs/importing.md``
"""

import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from webhook_app.cli.imports.reading import CsvTable, JsonTable
from webhook_app.sources.presets import PRESETS
from worker.model import Identity

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """An export format of a product; the module documents the fields."""

    name: str
    title: str
    documentation: str
    how: str
    map: Mapping[str, object]
    sample: str
    presets: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    each: str = ""
    only_if: Mapping[str, object] = field(default_factory=dict)
    ignore_if: Mapping[str, object] = field(default_factory=dict)
    ignores_unreachable: bool = False
    is_form: bool = False
    json_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    #: The columns or keys of the sample, as they are compared.
    known: frozenset[str] = frozenset()

    @property
    def is_json(self) -> bool:
        """Whether the sample is JSON."""
        return _is_json(self.sample)

    @property
    def id_prefix(self) -> str:
        """The prefix that its presets have by default."""
        return next((PRESETS[preset].get("id_prefix", "") for preset in self.presets), "")

    @property
    def identity(self) -> Identity:
        """Who can choose the identifiers, as its presets say."""
        return next((Identity(PRESETS[preset].get("identity", "account")) for preset in self.presets), Identity.ACCOUNT)

    @property
    def html_entities(self) -> bool:
        """Whether its presets decode HTML entities."""
        return any(PRESETS[preset].get("html_entities", False) for preset in self.presets)


@cache
def load_formats() -> Mapping[str, Format]:
    """Return all formats by name, in the order of their titles."""
    formats = [_load(file) for file in FOLDER.glob("*.toml")]
    return {one.name: one for one in sorted(formats, key=lambda one: one.title.lower())}


def _load(file: Path) -> Format:
    written: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    texts: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in written.items()}
    return Format(name=file.stem.replace("_", "-"), known=frozenset(map(fold, _names(written))), **texts)


def fold(name: str) -> str:
    """Return the name of a column as it is compared."""
    return " ".join(name.casefold().split())


def _names(written: Mapping[str, Any]) -> list[str]:
    text = io.StringIO(written["sample"])
    if not _is_json(written["sample"]):
        return CsvTable(text, written.get("columns")).names
    rows = JsonTable(text, written.get("each", "")).rows()
    return [key for row in rows if isinstance(row.value, dict) for key in row.value]


def _is_json(sample: str) -> bool:
    return sample.lstrip().startswith(("{", "["))
