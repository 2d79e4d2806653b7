"""Generates ``docs/sources.md``: ``python -m webhook_app.sources.docs``."""

import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

from webhook_app.sources.presets import FAMILIES, PRESETS, Preset

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
HOST = "https://sync.example.com"
#: Characters of a line of prose.
WIDTH = 100

#: Code between backticks stays on one line, so that it can be copied.
_CODE = re.compile("`[^`]*`")
_NO_BREAK = "\0"

INTRODUCTION = f"""\
<!-- Generated from webhook_app/sources/presets/ by `python -m webhook_app.sources.docs`. -->

# Sources

A source is a sender whose webhooks LiveDesk Sync accepts. For the products below there is a preset,
so that a source needs three or four lines:

1. Find your product below and follow its steps. Replace `{HOST}` with the URL of
   your own receiver.
2. Add the lines of TOML to `sources.toml`. Put the secret into the environment variable that they
   name, or the path of a file with the secret into the same name with `_FILE`. You choose the name
   in brackets, `[sources.<name>]`; the URL ends with it.
3. Run `flask sources check` to find mistakes in the file, and `flask sources` to see what is
   missing.
4. Run `flask send-test <name>` to send a sample delivery and follow it to the contact.

You can override every part of a preset in `sources.toml`: `map` and the options of `verify` key by
key, everything else as a whole. `sources.example.toml` documents all keys, and shows how to accept
a product that is not listed here.

For all sources:

- To rotate a secret, list both until the sender uses the new one: `secrets = ["$NEW", "$OLD"]`.
- A phone number without a country code is left out unless `region` is set.
- The same person from two sources becomes two contacts unless both send the same identifier. If ids
  of two systems could be equal, add a prefix:
  `map = {{ identifier = {{ path = "$.id", prefix = "shop-" }} }}`.
- Test deliveries are accepted like all others, so that you can see yours arrive. If the product
  marks them, the last note says how to ignore them.
- Passwords, tokens and similar secrets in a delivery are never stored.

Paths are [JSONPath](https://www.rfc-editor.org/rfc/rfc9535): names, indices, `*`, `..`
and filters with `==`, `!=`, `&&`, `||`, `!`, `match()`, `search()` and `value()`. Patterns are
those of [RE2](https://github.com/google/re2/wiki/Syntax), written as literals.

The presets:
"""

#: Products that cannot have a preset: what, why, and what to use instead.
UNSUPPORTED = (
    (
        "HubSpot app webhooks (`contact.creation`)",
        "The body is a list of object ids.",
        "Use a workflow's webhook: the preset `hubspot-workflow`.",
    ),
    (
        "Meta Lead Ads (Facebook, Instagram)",
        "The delivery contains a `leadgen_id`; the answers have to be fetched with a page's token.",
        "",
    ),
    (
        "LinkedIn Lead Gen Forms",
        "The delivery contains a `leadGenFormResponse`; the answers have to be fetched with an approved app's token.",
        "",
    ),
    ("Squarespace", "There is no event for a new person, and the delivery of an order contains only its id.", ""),
)
TOOL = (
    "Use an automation tool that is connected to it (Zapier, Make, n8n): let it fetch the person and post them to a "
    "source with the preset `generic-bearer`."
)


def render() -> str:
    """Return the page."""
    parts = [INTRODUCTION, _index()]
    for family in FAMILIES:
        parts.append(f"## {family}\n")
        parts += [_section(name, preset) for name, preset in PRESETS.items() if preset["family"] == family]
    parts.append(_unsupported())
    return "\n".join(parts)


def _index() -> str:
    titles = ((name, preset["title"]) for name, preset in PRESETS.items())
    items = [_prose(f"[{title}](#{_anchor(title)}): `{name}`", "- ") for name, title in titles]
    return "\n".join([*items, ""])


def _anchor(title: str) -> str:
    """Return the fragment of a heading on GitHub and GitLab."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _section(name: str, preset: Preset) -> str:
    address = f"{HOST}/webhooks/{name}"
    lines = [f"### {preset['title']}", "", _prose(f"**Signups:** {preset['signup']}"), ""]
    lines += [_prose(step.replace("{url}", address), f"{number}. ") for number, step in enumerate(preset["console"], 1)]
    if "secret_hint" in preset:
        lines += ["", _prose(f"**The secret:** {preset['secret_hint']}")]
    lines += ["", *_block("toml", _source(name, preset))]
    if "snippet" in preset:
        language, code = preset["snippet"]
        lines += ["", *_block(language, code.rstrip().split("\n"))]
    lines += ["", *_fields(preset)]
    notes = [_prose(note, "- ") for note in [*preset.get("notes", ()), *_tests(preset)]]
    lines += ["", "**Notes:**", "", *notes] if notes else []
    return "\n".join([*lines, ""]).replace("{url}", address)


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
    contact = preset.get("contact", "$")
    places = [_code(place) for place in ([contact] if isinstance(contact, str) else contact)]
    where = "" if contact == "$" else f" (in {' or else '.join(places)})"
    yield f"**Fields{where}:**"
    yield ""
    described = preset.get("described", {})
    for field, rule in preset["map"].items():
        yield _prose(f"`{field}`: {described.get(field) or _words(rule)}", "- ")


def _words(rule: object) -> str:
    """Describe a rule of a mapping in words."""
    match rule:
        case str():
            return _code(rule)
        case list():
            return ", or else ".join(_words(alternative) for alternative in rule)
        case {"join": list() as parts}:
            return " and ".join(f"({_words(part)})" if isinstance(part, list) else _words(part) for part in parts)
        case {"header": str() as name}:
            return f"the header `{name}`"
        case {"constant": constant}:
            return f"always `{constant}`"
        case {"path": path, **treatments}:
            return _words(path) + "".join(_treatment(str(how), value) for how, value in treatments.items())
    raise ValueError(f"there are no words for {rule!r}")


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


def _unsupported() -> str:
    lines = ["## Not supported", "", "These products send only an id; the person would have to be fetched.", ""]
    lines += [_prose(f"**{what}**: {why} {instead or TOOL}", "- ") for what, why, instead in UNSUPPORTED]
    return "\n".join([*lines, ""])


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


if __name__ == "__main__":
    main()
