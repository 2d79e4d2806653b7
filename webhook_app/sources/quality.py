"""The quality scale of the presets: rules in four tiers.

Each rule is checked from a preset's files. Home Assistant grades its integrations in the same way
(home-assistant/architecture, ADR 22). A preset's tier is the highest one whose rules, and those of all lower tiers,
hold; nobody writes it down. ``docs/sources.md`` shows the tiers and what each preset lacks, CONTRIBUTING.md the rules.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

from webhook_app.sources.config import read_source
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import Scope
from webhook_app.sources.mapping.rules import HEADER
from webhook_app.sources.presets import CHOSEN, FAMILIES, PRESETS, Preset
from webhook_app.sources.sample import contact_in, payload_of, read_sample, sample_files
from webhook_app.sources.source import Source

#: Schemes that others define: their vectors are in the tests of the scheme, not of each preset.
SHARED_SCHEMES = frozenset({"standard-webhooks", "engagelab", "jwt-body", "jwt-header"})
#: Schemes without a signature.
UNSIGNED = frozenset({"token", "basic"})
#: The family of presets whose events have any name: examples of it are enough.
OWN_CODE = FAMILIES[0]
#: How the ``provenance`` of a sample begins that nobody has published.
CONSTRUCTED = "constructed"


class Tier(IntEnum):
    """How much can be relied on; each tier includes those below."""

    NONE = 0
    BRONZE = 1
    SILVER = 2
    GOLD = 3
    PLATINUM = 4


#: What each tier means for a user.
MEANINGS: Mapping[Tier, str] = {
    Tier.BRONZE: "it can be set up from its section here, and its signups become contacts.",
    Tier.SILVER: "its signature, its secret and each of its events are tested, and its retries are known.",
    Tier.GOLD: "changes and deletions arrive in the right order, as far as the product reports them.",
    Tier.PLATINUM: "all of this is tested with signatures and deliveries that others have published.",
}


@dataclass(frozen=True)
class Subject:
    """A preset and its samples."""

    name: str
    preset: Preset

    @cached_property
    def documents(self) -> Mapping[str, dict[str, Any]]:
        return {event: json.loads(file.read_text(encoding="utf-8")) for event, file in sample_files(self.name).items()}

    @cached_property
    def source(self) -> Source:
        return read_source(self.name, {"preset": self.name}, {}, verifies=False)

    @property
    def scheme(self) -> str:
        verify: Any = self.preset["verify"]
        return str(verify["scheme"] if isinstance(verify, dict) else verify)

    def has(self, key: str) -> bool:
        """Whether the preset's file has this key."""
        return bool(self.preset.get(key))

    def values(self, place: str) -> set[object]:
        """Return all values at a place of a condition, in any sample."""
        found: set[object] = set()
        for event in self.documents:
            sample = read_sample(self.name, event)
            scope = Scope({name.lower(): value for name, value in sample.headers.items()})
            if place.startswith(HEADER):
                found.add(scope.headers.get(place.removeprefix(HEADER).lower()))
                continue
            payload = payload_of(self.source, sample)
            for element in self.source.reader.elements(payload, scope) or [payload]:
                found |= {value for value in compile_path(place).values(element, scope) if isinstance(value, str)}
        return found


def _unseen_events(subject: Subject) -> Iterator[str]:
    """Yield what a condition allows, and no sample has."""
    for key in ("only_if", "deleted_if"):
        conditions: Any = subject.preset.get(key, {})
        for place, allowed in conditions.items():
            texts = [value for value in (allowed if isinstance(allowed, list) else [allowed]) if isinstance(value, str)]
            seen = subject.values(place) if texts else set()
            unseen = [text for text in texts if text not in seen]
            if subject.preset["family"] != OWN_CODE or unseen == texts:
                yield from unseen


def _constructed(subject: Subject) -> Iterator[str]:
    for event, document in subject.documents.items():
        if str(document.get("provenance", CONSTRUCTED)).startswith(CONSTRUCTED):
            yield event


def _has_vector(subject: Subject, *keys: str) -> bool:
    is_shared = subject.scheme in SHARED_SCHEMES | UNSIGNED
    return is_shared or any(key in document for document in subject.documents.values() for key in keys)


def _knows_secret(subject: Subject) -> bool:
    """Whether a wrong secret is recognised: a chosen one can look like anything."""
    hint = subject.preset.get("secret_hint", CHOSEN)
    return CHOSEN in hint or subject.has("secret_begins")


def _is_signup(subject: Subject) -> bool:
    return bool(subject.documents) and contact_in(subject.source, read_sample(subject.name)) is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement; ``missing`` yields what of it a preset lacks."""

    tier: Tier
    name: str
    text: str
    missing: Callable[[Subject], Iterator[str]]


def _rule(tier: Tier, name: str, text: str, holds: Callable[[Subject], bool]) -> Rule:
    return Rule(tier, name, text, lambda subject: iter(() if holds(subject) else ("",)))


RULES = (
    _rule(
        Tier.BRONZE,
        "console",
        "`console` leads from the product's first page to the setting; there, or in `snippet`, is the URL.",
        lambda subject: "{url}" in " ".join([*subject.preset["console"], *subject.preset.get("snippet", ())]),
    ),
    _rule(
        Tier.BRONZE,
        "identity",
        "`identity_reason` argues who can choose the identifiers.",
        lambda subject: len(subject.preset["identity_reason"].split()) > 3,
    ),
    _rule(Tier.BRONZE, "signup-sample", "The sample of the signup becomes a contact.", _is_signup),
    _rule(
        Tier.SILVER,
        "signature",
        "A sample has a `vector` or a `derived_vector`, unless the scheme is shared by several products and has tests "
        "of its own, or signs nothing.",
        lambda subject: _has_vector(subject, "vector", "derived_vector"),
    ),
    _rule(
        Tier.SILVER,
        "secret",
        "`secret_begins` says how the secrets of the product begin, unless the user chooses them.",
        _knows_secret,
    ),
    _rule(
        Tier.SILVER,
        "retries",
        "`retries` says whether and how long the product retries, or that nobody knows.",
        lambda subject: subject.has("retries"),
    ),
    Rule(
        Tier.SILVER,
        "event-samples",
        "There is a sample of each event that `only_if` and `deleted_if` name; of one of them, where events have "
        "any name.",
        _unseen_events,
    ),
    _rule(
        Tier.GOLD,
        "event-time",
        "`event_time` is mapped, or `without_event_time` says why it cannot be.",
        lambda subject: subject.has("event_time") or subject.has("without_event_time"),
    ),
    _rule(
        Tier.GOLD,
        "deletion",
        "`deleted_if` recognises deletions, or `without_deletion` says why it cannot.",
        lambda subject: subject.has("deleted_if") or subject.has("without_deletion"),
    ),
    _rule(
        Tier.PLATINUM,
        "published-vector",
        "A sample has a `vector` that the product has published, with the same exceptions.",
        lambda subject: _has_vector(subject, "vector"),
    ),
    Rule(
        Tier.PLATINUM,
        "published-samples",
        "The `provenance` of each sample is the product's documentation or code.",
        _constructed,
    ),
)


@dataclass(frozen=True, slots=True)
class Quality:
    """A preset's tier, and which rules do not hold, with what is missing."""

    tier: Tier
    lacks: Mapping[str, tuple[str, ...]]


def quality_of(name: str, preset: Preset | None = None) -> Quality:
    """Return the quality of a preset, by default as it is in its file."""
    subject = Subject(name, preset or PRESETS[name])
    found = {rule: missing for rule in RULES if (missing := tuple(dict.fromkeys(rule.missing(subject))))}
    lowest = min((rule.tier for rule in found), default=Tier.PLATINUM + 1)
    return Quality(Tier(lowest - 1), {rule.name: missing for rule, missing in found.items()})
