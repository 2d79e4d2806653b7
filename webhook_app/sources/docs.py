"""Generates ``docs/sources.md`` and the rules in CONTRIBUTING.md.

Run it with ``python -m webhook_app.sources.docs``.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from webhook_app.sources.presets import FAMILIES, PRESETS, Preset
from webhook_app.sources.quality import MEANINGS, RULES, Tier, quality_of
from worker.model import ATTRIBUTE_FIELDS

ROOT = Path(__file__).parents[2]
PAGE, CHECKLIST_PAGE = ROOT / "docs" / "sources.md", ROOT / "CONTRIBUTING.md"
#: The rules of the quality scale in the ``CHECKLIST_PAGE``.
_CHECKLIST = re.compile("(?<=<!-- begin of the quality scale -->\n).*(?=<!-- end of the quality scale -->)", re.DOTALL)
#: The page around the presets, which replace the mark.
TEMPLATE, MARK = Path(__file__).parent / "presets" / "page.md", "<!-- presets -->"
HOST = "https://sync.example.com"
#: Precedes the tiers.
QUALITY = (
    "Each preset has a tier, which is computed from its files by [the rules](../CONTRIBUTING.md#quality-of-presets) "
    "for new presets. It says how well the preset is made, not how good or how safe the product is. Each tier includes "
    "those before it:"
)
#: What ``answer`` can be, in words.
ANSWERED = {"email": "e-mail address", "name": "name", "phone_number": "phone number", "country": "country"}
#: Characters of a line of prose.
WIDTH = 100

#: Code between backticks stays on one line, so that it can be copied.
_CODE = re.compile("`[^`]*`")
_NO_BREAK = "\0"


def render() -> str:
    """Return the page: the template with an index and a section for each preset."""
    parts = [_index()]
    for family in FAMILIES:
        parts.append(f"## {family}\n")
        parts += [_section(name, preset) for name, preset in PRESETS.items() if preset["family"] == family]
    parts.append(_quality())
    return TEMPLATE.read_text(encoding="utf-8").replace(MARK, "\n".join(parts).rstrip("\n"))


def checklist() -> str:
    """Return the rules of the quality scale, one item for each."""
    return "\n".join(_prose(f"`{rule.name}` ({_word(rule.tier)}): {rule.text}", "- ") for rule in RULES)


def with_checklist(page: str) -> str:
    """Return the text of the ``CHECKLIST_PAGE`` with the present rules."""
    return _CHECKLIST.sub(lambda _: f"\n{checklist()}\n\n", page)


def _index() -> str:
    titles = ((name, preset["title"], _word(quality_of(name).tier)) for name, preset in PRESETS.items())
    items = [_prose(f"[{title}](#{_anchor(title)}): `{name}`, {tier}", "- ") for name, title, tier in titles]
    return "\n".join([*items, ""])


def _word(tier: Tier) -> str:
    return tier.name.lower()


def _quality() -> str:
    """Return the legend of the tiers, and what presets lack."""
    lines = ["## Quality of the presets", "", _prose(QUALITY), ""]
    lines += [_prose(f"**{_word(tier).capitalize()}**: {meaning}", "- ") for tier, meaning in MEANINGS.items()]
    lines += ["", "What the others lack for a higher tier:", ""]
    for name in PRESETS:
        quality = quality_of(name)
        lacks = (f"{rule} ({', '.join(what)})" if any(what) else rule for rule, what in quality.lacks.items())
        if quality.lacks:
            lines.append(_prose(f"`{name}`, {_word(quality.tier)}: {', '.join(lacks)}", "- "))
    return "\n".join([*lines, ""])


def _anchor(title: str) -> str:
    """Return the fragment of a heading on GitHub and GitLab."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _section(name: str, preset: Preset) -> str:
    address = f"{HOST}/webhooks/{name}"
    lines = [f"### {preset['title']}", "", *_events(preset)]
    lines += [_prose(f"**Identity:** `{preset['identity']}`. {preset['identity_reason']}"), ""]
    lines += [_prose(step.replace("{url}", address), f"{number}. ") for number, step in enumerate(preset["console"], 1)]
    if "secret_hint" in preset:
        lines += ["", _prose(f"**The secret:** {preset['secret_hint']}")]
    lines += ["", *_block("toml", _source(name, preset))]
    if "retries" in preset:
        lines += ["", _prose(f"**Retries:** {preset['retries']}")]
    if "snippet" in preset:
        language, code = preset["snippet"]
        lines += ["", *_block(language, code.rstrip().split("\n"))]
    lines += ["", *_fields(preset)]
    notes = [_prose(note, "- ") for note in [*preset.get("notes", ()), *_tests(preset)]]
    lines += ["", "**Notes:**", "", *notes] if notes else []
    return "\n".join([*lines, ""]).replace("{url}", address)


def _events(preset: Preset) -> Iterable[str]:
    yield from (_prose(f"**Signups:** {preset['signup']}"), "")
    if "changes" in preset:
        yield from (_prose(f"**Changes:** {preset['changes']}"), "")
    if "deletions" in preset:
        yield from (_prose(f"**Deletions**, with [`on_delete`](#changes-and-deletions): {preset['deletions']}"), "")
    if "without_deletion" in preset:
        yield from (_prose(f"**Deletions:** none. {preset['without_deletion']}"), "")
    if "without_event_time" in preset:
        yield from (_prose(f"**Times of events:** none. {preset['without_event_time']}"), "")


def _source(name: str, preset: Preset) -> Iterable[str]:
    yield f"[sources.{name}]"
    yield f'preset = "{name}"'
    if "secret_hint" in preset:
        yield f'secret = "${name.upper().replace("-", "_")}_SECRET"'
    yield from preset.get("needs", ())
    if "phone_number" in preset["map"]:
        yield 'region = "US"  # the country of phone numbers without a country code'


def _block(language: str, lines: Iterable[str]) -> list[str]:
    return [f"```{language}", *lines, "```"]


def _fields(preset: Preset) -> Iterable[str]:
    yield f"**Fields{_where(preset.get('contact', '$'))}:**"
    yield ""
    described = preset.get("described", {})
    for field, rule in _rules(preset["map"]):
        prefix = f", after `{preset['id_prefix']}`" if field == "identifier" and preset.get("id_prefix") else ""
        yield _prose(f"`{field}`: {described.get(field) or _words(rule)}{prefix}", "- ")


def _rules(written: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    """Yield the fields and their rules, each attribute as ``custom_attributes.plan``."""
    for field, rule in written.items():
        if field in ATTRIBUTE_FIELDS and isinstance(rule, dict):
            yield from ((f"{field}.{name}", one) for name, one in rule.items())
        else:
            yield field, rule


def _where(contact: object) -> str:
    match contact:
        case "$":
            return ""
        case str():
            return f" (in {_code(contact)})"
        case list():
            return f" (in {' or else '.join(map(_code, contact))})"
    return " (in the object of the person)"


def _words(rule: object) -> str:
    """Describe a rule of a mapping in words."""
    match rule:
        case str():
            return _code(rule)
        case list():
            return ", or else ".join(_words(alternative) for alternative in rule)
        case {"join": list() as parts}:
            return " and ".join(f"({_words(part)})" if isinstance(part, list) else _words(part) for part in parts)
        case {"header": str() as name, **rest}:
            return f"the header `{name}`" + _test(rest)
        case {"constant": constant}:
            return f"always `{constant}`"
        case {"answer": str() as subject}:
            return f"the answer that is the {ANSWERED[subject]} of the person ([how](#forms))"
        case {"path": str() as path, **rest} if rest.keys() & {"exists", "equals"}:
            return _code(path) + _test(rest)
        case {"path": path, **treatments}:
            return _words(path) + "".join(_treatment(str(how), value) for how, value in treatments.items())
    return _common_words(rule)


def _common_words(rule: object) -> str:
    match rule:
        case {"find": "id"}:
            return "the id of the person"
        case {"named": list() as names, **rest}:
            words = ", ".join(f"`{name}`" for name in names)
            return words + (f" in {_code(str(rest['in']))}" if "in" in rest else "") + _test(rest)
    raise ValueError(f"there are no words for {rule!r}")


def _test(rest: Mapping[Any, object]) -> str:
    """Describe what a rule for yes or no tests."""
    match rest:
        case {"exists": exists}:
            return f", yes if there is {'a' if exists else 'no'} value"
        case {"equals": expected}:
            values = expected if isinstance(expected, list) else [expected]
            return f", yes if it is {' or '.join(f'`{value}`' for value in values)}"
    return ""


def _treatment(how: str, value: object) -> str:
    match how, value:
        case "unless_equal", _:
            return f" unless it equals {_words(value)}"
        case "prefix", str():
            return f" after `{value}`"
        case "prefix", _:
            return f" after {_words(value)}"
        case "base", _:
            return f", relative to {_words(value)}"
        case "replace", dict():
            return "".join(f", with `{old}` as `{new}`" for old, new in value.items())
    raise ValueError(f"there are no words for {how!r}")


def _tests(preset: Preset) -> Iterable[str]:
    if "tests" in preset:
        yield f"To ignore test deliveries: `test_if = {preset['tests']}`."


def _code(path: str) -> str:
    return f"`{path if path == '$' else path.removeprefix('$.')}`"


def _prose(text: str, bullet: str = "") -> str:
    """Wrap text to ``WIDTH``, as an item of a list if there is a ``bullet``."""
    indent = " " * len(bullet)
    kept = _CODE.sub(lambda code: code[0].replace(" ", _NO_BREAK), bullet + text)
    lines = fill(kept, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return lines.replace(_NO_BREAK, " ")


def main() -> None:
    PAGE.write_text(render(), encoding="utf-8")
    CHECKLIST_PAGE.write_text(with_checklist(CHECKLIST_PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
