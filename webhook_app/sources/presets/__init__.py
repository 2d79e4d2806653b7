"""Presets: ready-made sources for known products, one TOML file each.

A file has the keys of a source (see ``sources.example.toml``), each of which the user's own source can override, and
the texts of ``docs/sources.md``, in which ``{url}`` is the URL of the source. To add a preset, write ``<name>.toml``
here and put a sample delivery of each event that it handles into ``samples/<name>/<event>.json``; then run
``python -m webhook_app.sources.docs``. File names have ``_`` for ``-``. An event has its name in the product, with
``_`` for what is no letter, digit, ``.``, ``-`` or ``_``.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from webhook_app.sources.mapping.entry import NAMES

#: The families of presets, in the order of ``docs/sources.md``.
FAMILIES = (
    "Your own code and common standards",
    "EngageLab",
    "Identity services",
    "Identity systems that you run or program yourself",
    "Shops and billing",
    "Forms and bookings",
    "Communities, newsletters and sites",
    "CRM and customer data",
)
#: What ``{chosen}`` means in ``secret_hint``.
CHOSEN = "A random string that you choose, for example the output of `openssl rand -hex 20`."
#: Events of your own code that delete a person.
DELETIONS = [f"{noun}.deleted" for noun in ("user", "contact", "customer", "account", "member", "person", "profile")]
#: The mapping of a source without a ``map``: LiveDesk's field names, bare or as the ``data`` of Standard Webhooks.
OWN_WORDS: Mapping[str, object] = {
    "contact": ["$", "$.data"],
    "map": {field: f"$.{field}" for field in NAMES},
    "event": "$.type",
    "event_time": ["$.timestamp", "$.occurred_at", "$.updated_at", "$.data.updated_at"],
    "deleted_if": {"$.type": DELETIONS},
}


class Preset(TypedDict):
    """A preset's file: the keys of a source, then texts for people, in Markdown."""

    verify: object
    map: Mapping[str, object]
    contact: NotRequired[str | list[str] | Mapping[str, str]]
    #: Where a form's answers are (see ``mapping.rules``).
    answers: NotRequired[str | Mapping[str, object]]
    only_if: NotRequired[Mapping[str, object]]
    ignore_if: NotRequired[Mapping[str, object]]
    test_if: NotRequired[Mapping[str, object]]
    #: The product's name of an event, and when it happened, never when it was sent.
    event: NotRequired[object]
    event_time: NotRequired[object]
    deleted_if: NotRequired[Mapping[str, object]]
    #: ``clear`` if every event has the whole person, so that what is missing is gone.
    absent: NotRequired[str]
    on_change: NotRequired[str]
    body: NotRequired[str | list[str]]
    json_fields: NotRequired[list[str]]
    #: The product escapes names and addresses for HTML.
    html_entities: NotRequired[bool]
    each: NotRequired[str]
    max_bytes: NotRequired[int]
    handshake: NotRequired[str]
    blocking: NotRequired[bool]
    #: Paths to what must not be stored: passwords, tokens, private metadata.
    secret_fields: NotRequired[list[str]]
    #: ``account`` or ``visitor``: who can choose the identifiers (see ``page.md``).
    identity: str
    #: What precedes every identifier, because other systems have the same: small integers.
    id_prefix: NotRequired[str]

    #: The product, and the kind of delivery if it has several.
    title: str
    family: str
    #: The name of another preset, whose keys this one has unless it sets them itself.
    like: NotRequired[str]
    #: Which deliveries count as signups, which change a person, and which delete one.
    signup: str
    changes: NotRequired[str]
    deletions: NotRequired[str]
    #: Why the identity class is this one, in a sentence.
    identity_reason: str
    #: What to do in the product, step by step.
    console: list[str]
    #: Whether and how long the product retries a delivery that was not answered 200, in one sentence.
    retries: NotRequired[str]
    #: Why the preset has no ``deleted_if``, or no ``event_time``: the product does not say it. In one sentence each.
    without_deletion: NotRequired[str]
    without_event_time: NotRequired[str]
    #: What the secret looks like and where to find it; absent if there is none.
    secret_hint: NotRequired[str]
    #: How the secrets begin that the product issues, "" if that is unknown; absent if the user chooses the secret.
    secret_begins: NotRequired[list[str]]
    #: The event whose sample is a signup, without ``.json``, if there are samples of several events.
    sample: NotRequired[str]
    #: Lines of TOML that the source also needs.
    needs: NotRequired[list[str]]
    #: What an operator should know: traps, and what is worth overriding.
    notes: NotRequired[list[str]]
    #: Where a field is taken from, in words, if its rule is too long to show.
    described: NotRequired[Mapping[str, str]]
    #: The ``test_if`` that ignores test deliveries. Presets accept them, so that a user sees a test arrive.
    tests: NotRequired[str]
    #: A language, and code in it to deploy.
    snippet: NotRequired[list[str]]


def _load() -> dict[str, Preset]:
    """Return all presets by name, in the order of their families and titles."""
    files: dict[str, Any] = {
        file.stem.replace("_", "-"): tomllib.loads(file.read_text(encoding="utf-8"))
        for file in Path(__file__).parent.glob("*.toml")
    }
    for name, written in files.items():
        if "secret_hint" in written:
            written["secret_hint"] = written["secret_hint"].replace("{chosen}", CHOSEN)
        if "like" in written:
            files[name] = {**files[written["like"]], **written}
    ordered = sorted(files.items(), key=lambda item: (FAMILIES.index(item[1]["family"]), item[1]["title"]))
    return {name: cast(Preset, written) for name, written in ordered}


PRESETS: Mapping[str, Preset] = _load()
