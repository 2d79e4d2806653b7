"""Reads the sources file (TOML) or the shortcut, and reports all mistakes at once.

``sources.example.toml`` documents every key. A secret is best written as ``"$NAME"``: the environment variable
``NAME``, or the content of the file ``NAME_FILE``. No message repeats a secret.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import phonenumbers

from webhook_app.sources.body.reader import FORMATS, MAX_BYTES, Reader
from webhook_app.sources.credentials import read_secrets
from webhook_app.sources.mapping import entry as mappings
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import Path as JsonPath
from webhook_app.sources.mistakes import collecting, did_you_mean, unknown_keys
from webhook_app.sources.presets import OWN_WORDS, PRESETS
from webhook_app.sources.source import Source
from webhook_app.sources.verify.handshakes import Handshake, make_handshake
from webhook_app.sources.verify.jwks import KeySet
from webhook_app.sources.verify.schemes import jwks_urls, read_verifiers
from webhook_app.sources.verify.secret_forms import decode_key, read_secret, refuse_accident
from worker.errors import SettingsError
from worker.model import ATTRIBUTE_FIELDS, Identity, OnChange, OnConflict, OnDelete
from worker.normalise import MAX_INBOX_ID

#: The name of the source that ``WEBHOOK_SECRET`` creates.
SHORTCUT = "signup"
#: The largest ``max_bytes``.
MAX_BODY_BYTES = 16 * 1024 * 1024
#: Characters of ``id_prefix``.
MAX_PREFIX = 64
#: What to do with an authentic delivery without a usable contact.
ON_INVALID = ("quarantine", "reject")

NAME = re.compile("[a-z0-9][a-z0-9_-]{0,63}")


def load_sources(path: Path, webhook_secret: str | None, environ: Mapping[str, str]) -> dict[str, Source]:
    """Return the sources of the file at ``path``, and ``signup`` for a secret.

    With a ``webhook_secret`` the file may be missing, unless ``SOURCES_FILE`` is in ``environ``. A ``signup`` in the
    file replaces the shortcut.

    Raises:
        SettingsError: one sentence for each mistake, with file, source and key.
    """
    problems: list[str] = []
    sources: dict[str, Source] = {}
    if webhook_secret:
        with collecting(problems):
            sources[SHORTCUT] = shortcut(webhook_secret)
    if path.exists() or "SOURCES_FILE" in environ:
        with collecting(problems, f"{path}: "):
            sources |= _read_file(path, environ)
    elif not webhook_secret:
        problems.append(f"There are no sources: set WEBHOOK_SECRET, or create {path} (see sources.example.toml)")
    if problems:
        raise SettingsError([problem if problem.endswith("?") else f"{problem}." for problem in problems])
    return with_siblings(sources)


def with_siblings(sources: Mapping[str, Source]) -> dict[str, Source]:
    """Return the sources, each with the names of those that have its id space."""
    spaces: dict[str, list[str]] = {}
    for name, source in sources.items():
        spaces.setdefault(source.origin.space, []).append(name)
    return {
        name: replace(source, siblings=tuple(names)) if source.id_space or len(names) > 1 else source
        for name, source in sources.items()
        for names in (spaces[source.origin.space],)
    }


def read_source(
    name: str,
    written: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    verifies: bool = True,
    key_sets: dict[str, KeySet] | None = None,
) -> Source:
    """Return the source in a table of the sources file.

    With ``verifies`` false it needs no secrets, and cannot verify a delivery. ``key_sets`` as in ``read_verifiers``.

    Raises:
        SettingsError: one sentence for each mistake, beginning with the key.
    """
    problems = unknown_keys(written, KEYS)
    if not NAME.fullmatch(name):
        problems.append("the name must begin with a letter or digit, and have at most 64 of a-z, 0-9, - and _")
    entry = written_alone(written)
    with collecting(problems):
        entry = completed(written)
    if not verifies:
        entry = {key: value for key, value in entry.items() if key not in ("secret", "secrets", "handshake")}
    secrets = read_secrets(entry, environ, problems) if verifies else {}
    settings = {"on_invalid": ON_INVALID[0], **{key: entry[key] for key in SETTINGS if key in entry}}
    problems += _setting_problems(settings)
    parts: dict[str, Any] = {"reader": Reader(), "verifiers": ()}
    with collecting(problems):
        parts["reader"] = _reader(entry)
    if verifies:
        with collecting(problems):
            parts["verifiers"] = read_verifiers(entry.get("verify"), secrets, parts["reader"], key_sets)
    parts |= _parts(entry, secrets, environ, problems)
    if problems:
        raise SettingsError(problems)
    settings |= {key: read(settings[key]) for key, read in READ.items() if key in settings}
    names = (*secrets, *(f"jwks {url}" for url in jwks_urls(entry.get("verify"))))
    return Source(name=name, preset=entry.get("preset"), secret_names=names, **parts, **settings)


def _parts(
    entry: Mapping[str, Any], secrets: Mapping[str, str], environ: Mapping[str, str], problems: list[str]
) -> dict[str, Any]:
    """Return what has no mistakes, beside reader and verifiers."""
    parts: dict[str, Any] = {}
    with collecting(problems):
        parts["mapping"] = mappings.read_mapping(entry)
    with collecting(problems, "secret_fields: "):
        parts["secret_fields"] = _secret_fields(entry.get("secret_fields", []))
    with collecting(problems, "handshake: "):
        parts["handshake"] = _handshake(entry.get("handshake"), secrets, environ)
    return parts


def shortcut(secret: str) -> Source:
    """Return the source that accepts contacts with LiveDesk's field names.

    A secret that is not a key of Standard Webhooks can still be a bearer token.

    Raises:
        ValueError: it begins like a key and is malformed.
        SettingsError: it is too short.
    """
    schemes = ["token"]
    try:
        decode_key(secret, "whsec")
        schemes.insert(0, "standard-webhooks")
    except ValueError:
        if secret.startswith("whsec_"):
            raise ValueError("WEBHOOK_SECRET begins with whsec_, but the rest is not base64") from None
    verifiers = read_verifiers(schemes, {"WEBHOOK_SECRET": secret})
    return Source(
        name=SHORTCUT,
        verifiers=verifiers,
        mapping=mappings.read_mapping(OWN_WORDS),
        secret_names=("WEBHOOK_SECRET",),
    )


def read_tables(path: Path) -> dict[str, Any]:
    """Return the sources of the file at ``path`` as they are written.

    Raises:
        ValueError: the file cannot be read, or has no sources.
    """
    tables = _read_document(path).get("sources")
    if not isinstance(tables, dict) or not tables:
        raise ValueError("it has no [sources.<name>]")
    return tables


def _read_document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


def _read_file(path: Path, environ: Mapping[str, str]) -> dict[str, Source]:
    document = _read_document(path)
    problems = unknown_keys(document, ("sources",))
    tables = document.get("sources")
    if not isinstance(tables, dict) or not tables:
        raise SettingsError([*problems, "it has no [sources.<name>]"])
    sources: dict[str, Source] = {}
    key_sets: dict[str, KeySet] = {}
    for name, table in tables.items():
        with collecting(problems, f"[sources.{name}] "):
            sources[name] = read_source(name, _checked_table(table), environ, key_sets=key_sets)
    if problems:
        raise SettingsError(problems)
    return sources


def _checked_table(table: object) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ValueError("must be a table")
    return table


def written_alone(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a source without its preset, with what a preset would have added.

    Mistakes in what is written are then those of the source, whatever the preset is.
    """
    entry: dict[str, Any] = {key: value for key, value in written.items() if key != "preset"}
    if isinstance(entry.get("map", {}), dict):
        entry["map"] = {"identifier": "$.id", **entry.get("map", {})}
    if isinstance(entry.get("verify", {}), dict) and "scheme" not in entry.get("verify", {}):
        entry["verify"] = "token"
    if not {"secret", "secrets"} & entry.keys():
        entry["secret"] = "unknown, like the preset"  # noqa: S105 - there is none
    return entry


def completed(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a source over its preset; ``map`` and ``verify`` merge key by key.

    Raises:
        ValueError: there is no such preset.
    """
    if "preset" not in written:
        return written if "map" in written else {**OWN_WORDS, **written}
    name = written["preset"]
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset: there is no preset {name!r}{did_you_mean(str(name), PRESETS)}")
    preset = PRESETS[name]
    entry = {**preset, **written}
    for key in ("map", "verify"):
        ours, theirs = written.get(key), preset.get(key)
        if key == "verify" and isinstance(theirs, str):
            theirs = {"scheme": theirs}
        if isinstance(ours, dict) and isinstance(theirs, dict) and "scheme" not in ours:
            entry[key] = {**theirs, **ours, **(_attributes(ours, theirs) if key == "map" else {})}
    return entry


def _attributes(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes of a source over those of its preset."""
    pairs = {kind: (ours.get(kind), theirs.get(kind)) for kind in ATTRIBUTE_FIELDS}
    return {
        kind: {**preset, **own}
        for kind, (own, preset) in pairs.items()
        if isinstance(own, dict) and isinstance(preset, dict)
    }


def _reader(entry: Mapping[str, Any]) -> Reader:
    problems: list[str] = []
    formats, json_fields = _texts(entry.get("body", "json")), _texts(entry.get("json_fields", []))
    if not formats or not set(formats) <= FORMATS.keys():
        problems.append(f"body: must be one of {', '.join(FORMATS)}, or a list of them")
    if json_fields is None:
        problems.append("json_fields: must be a list of names")
    each: JsonPath | None = None
    if "each" in entry:
        with collecting(problems, "each: "):
            each = _each(entry["each"])
    if problems:
        raise SettingsError(problems)
    max_bytes = entry.get("max_bytes", MAX_BYTES)
    return Reader(formats=formats or (), json_fields=json_fields or (), each=each, max_bytes=max_bytes)


def _texts(written: object) -> tuple[str, ...] | None:
    """Return one text or a list of texts as a tuple, or ``None`` if it is neither."""
    items = written if isinstance(written, list) else [written]
    texts = tuple(item for item in items if isinstance(item, str))
    return texts if len(texts) == len(items) else None


def _each(written: object) -> JsonPath:
    path = compile_path(written) if isinstance(written, str) else None
    if path is None or path.steps is not None:
        raise ValueError('must be a path that can find several elements, like "$.users[*]"')
    return path


def _handshake(written: object, secrets: Mapping[str, str], environ: Mapping[str, str]) -> Handshake | None:
    """Read a handshake: its name, or a table with ``name`` and ``token``."""
    if written is None:
        return None
    table = written if isinstance(written, dict) else {"name": written}
    if problems := unknown_keys(table, ("name", "token")):
        raise SettingsError(problems)
    token = refuse_accident(read_secret(table["token"], environ)) if "token" in table else ""
    return make_handshake(table.get("name"), tuple(secrets.values()), token)


def _secret_fields(written: object) -> tuple[JsonPath, ...]:
    if not isinstance(written, list) or not all(isinstance(path, str) for path in written):
        raise ValueError("must be a list of paths")
    paths: list[JsonPath] = []
    problems: list[str] = []
    for text in written:
        with collecting(problems):
            paths.append(compile_path(text))
            if not paths[-1].segments:
                problems.append(f"{text!r} is the whole payload")
    if problems:
        raise SettingsError(problems)
    return tuple(paths)


def _setting_problems(settings: Mapping[str, object]) -> list[str]:
    return [f"{key}: must be {SETTINGS[key][1]}" for key, value in settings.items() if not SETTINGS[key][0](value)]


def _is_region(value: object) -> bool:
    return isinstance(value, str) and value in phonenumbers.SUPPORTED_REGIONS


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_PREFIX and not re.search(r"\s|[^ -~]", value)


def _is_whole(value: object, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= largest


#: Keys of a source that are used as they are: the valid values as a check and in words.
SETTINGS: Mapping[str, tuple[Callable[[object], object], str]] = {
    "region": (_is_region, 'the two-letter code of a country, like "DE"'),
    "inbox_id": (lambda value: _is_whole(value, MAX_INBOX_ID), "a whole number above 0"),
    "identity": (lambda value: value in list(Identity), " or ".join(f'"{one}"' for one in Identity)),
    "id_space": (lambda value: isinstance(value, str) and NAME.fullmatch(value), "a name like that of a source"),
    "id_prefix": (_is_prefix, f"a string of at most {MAX_PREFIX} characters without spaces"),
    "on_conflict": (lambda value: value in list(OnConflict), " or ".join(f'"{one}"' for one in OnConflict)),
    "on_change": (lambda value: value in list(OnChange), " or ".join(f'"{one}"' for one in OnChange)),
    "on_delete": (lambda value: value in list(OnDelete), " or ".join(f'"{one}"' for one in OnDelete)),
    "allow_identifiers": (lambda value: bool(_texts(value)), "a list of strings"),
    "html_entities": (lambda value: isinstance(value, bool), "true or false"),
    "on_invalid": (lambda value: value in ON_INVALID, " or ".join(f'"{word}"' for word in ON_INVALID)),
    "blocking": (lambda value: isinstance(value, bool), "true or false"),
    "max_bytes": (lambda value: _is_whole(value, MAX_BODY_BYTES), f"a whole number from 1 to {MAX_BODY_BYTES}"),
}
#: Settings that are not used as written.
READ: Mapping[str, Callable[[Any], object]] = {
    "identity": Identity,
    "on_conflict": OnConflict,
    "on_change": OnChange,
    "on_delete": OnDelete,
    "allow_identifiers": tuple,
}
KEYS = (
    *("preset", "verify", "secret", "secrets", "handshake", "body", "json_fields", "each", "secret_fields"),
    *mappings.KEYS,
    *SETTINGS,
)
