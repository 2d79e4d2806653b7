"""Lists the sources as they are written, also those with mistakes."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webhook_app.sources.config import SHORTCUT, completed, load_sources, read_source, shortcut
from webhook_app.sources.credentials import named_secrets
from webhook_app.sources.mistakes import collecting
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.verify.schemes import jwks_urls, needs_secrets
from webhook_app.sources.verify.secret_forms import read_secret
from worker.model import Identity, OnChange, OnConflict, OnDelete

#: Keys of a source that are shown as they are written.
WORDS = ("identity", "id_space", "id_prefix", "on_conflict", "on_change", "on_delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One source; ``secrets`` maps the name of each secret to whether it is set."""

    name: str
    preset: str | None = None
    schemes: tuple[str, ...] = ()
    secrets: Mapping[str, bool]
    needs: tuple[str, ...] = ()
    identity: str = Identity.ACCOUNT
    id_space: str = ""
    id_prefix: str = ""
    on_conflict: str = OnConflict.ASK
    on_change: str = OnChange.UPDATE
    on_delete: str = OnDelete.IGNORE
    on_invalid: str = "quarantine"
    region: str | None = None
    inbox_id: int | None = None
    mistakes: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"/webhooks/{self.name}"


def take_inventory(path: Path, webhook_secret: str | None, environ: Mapping[str, str]) -> list[Listed]:
    """Return the sources that ``load_sources`` would return, also those with mistakes.

    Raises:
        SettingsError: there is no file, or it is not valid TOML.
    """
    tables = _tables(path)
    if tables is None and (path.exists() or not webhook_secret or "SOURCES_FILE" in environ):
        load_sources(path, webhook_secret, environ)  # raises what is wrong
    tables = tables or {}
    listed = [_listed(name, table, environ) for name, table in tables.items() if isinstance(table, dict)]
    return [*_shortcut(webhook_secret, tables), *listed]


def _tables(path: Path) -> Mapping[str, Any] | None:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("sources")
    except (OSError, ValueError):
        return None
    return tables if isinstance(tables, dict) and tables else None


def _shortcut(secret: str | None, tables: Mapping[str, Any]) -> list[Listed]:
    if not secret or SHORTCUT in tables:
        return []
    mistakes: list[str] = []
    schemes: tuple[str, ...] = ("token",)
    with collecting(mistakes):
        if len(shortcut(secret).verifiers) > 1:
            schemes = ("standard-webhooks", "token")
    return [
        Listed(
            name=SHORTCUT,
            schemes=schemes,
            secrets={"WEBHOOK_SECRET": True},
            id_space=SHORTCUT,
            on_invalid="reject",
            mistakes=tuple(mistakes),
        )
    ]


def _listed(name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> Listed:
    mistakes: list[str] = []
    with collecting(mistakes):
        read_source(name, table, environ)
    try:
        entry = completed(table)
    except ValueError:
        entry = table
    preset = entry.get("preset")
    words = {key: str(entry[key]) for key in WORDS if entry.get(key)}
    if words.get("identity") == Identity.VISITOR:  # nothing that a visitor sends changes a contact in LiveDesk
        words |= {"on_conflict": OnConflict.KNOWN, "on_change": words.get("on_change", OnChange.NOTE)}
    on_invalid, region, inbox_id = (entry.get(key) for key in ("on_invalid", "region", "inbox_id"))
    return Listed(
        name=name,
        preset=preset if isinstance(preset, str) else None,
        schemes=tuple(_schemes(entry.get("verify"))),
        secrets=dict(_secrets(entry, environ)),
        needs=_needs(preset, entry),
        on_invalid=str(on_invalid or "quarantine"),
        region=region if isinstance(region, str) else None,
        inbox_id=inbox_id if isinstance(inbox_id, int) else None,
        mistakes=tuple(mistakes),
        **{"id_space": name, **words},
    )


def _schemes(verify: object) -> Iterable[str]:
    for entry in verify if isinstance(verify, list) else [verify]:
        scheme = entry.get("scheme") if isinstance(entry, dict) else entry
        if isinstance(scheme, str):
            yield scheme


def _secrets(entry: Mapping[str, Any], environ: Mapping[str, str]) -> Iterable[tuple[str, bool]]:
    """Yield the name of each secret and key set, and whether it is set."""
    for name, text in named_secrets(entry).items():
        yield name, _is_set(text, environ)
    for url in jwks_urls(entry.get("verify")):
        yield f"jwks {url}", True


def _is_set(text: object, environ: Mapping[str, str]) -> bool:
    try:
        return bool(read_secret(text, environ))
    except ValueError:
        return False


def _needs(preset: object, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the user has to get from the product, or to set."""
    known = PRESETS.get(preset) if isinstance(preset, str) else None
    if known is None:
        return ("a secret",) if needs_secrets(entry.get("verify")) else ()
    hint = known.get("secret_hint")
    return (*((f"a secret. {hint}",) if hint else ()), *known.get("needs", ()))
