"""``docs/sources.md``, made from the presets: ``python -m webhook_app.sources.docs`` writes it."""

import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

from webhook_app.sources.presets import FAMILIES, PRESETS
from webhook_app.sources.presets.preset import Preset
from webhook_app.sources.presets.unsupported import UNSUPPORTED

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
HOST = "https://sync.example.com"
#: Characters of a line of prose.
WIDTH = 120

#: What stands between backticks is to be copied, so it stays in one line.
_CODE = re.compile("`[^`]*`")
_NO_BREAK = "\0"

INTRODUCTION = f"""\
<!-- Made by `python -m webhook_app.sources.docs` from webhook_app/sources/presets/. Change it there. -->

# Sources

A source is a sender that LiveDesk Sync accepts. For the products below there is a preset, so that a source is three or
four lines:

1. Find the product below and do what it says there. For `{HOST}` put the address of your own receiver.
2. Put the lines of TOML into `sources.toml`, and the secret into the environment variable that they name, or its path
   into the same name with `_FILE`. What stands in brackets, `[sources.<name>]`, is yours to choose; the address ends in
   it.
3. `flask sources check` says what is wrong with the file, `flask sources` what is still missing.
4. `flask send-test <name>` sends a sample to the receiver and follows it to the contact.

Whatever a preset says can be overridden in `sources.toml`: `map` and the options of `verify` one by one, all else as a
whole. `sources.example.toml` shows all keys, and how to take a product that is not here.

What holds for all of them:

- While a secret is being changed, both can be live: `secrets = ["$NEW", "$OLD"]`.
- A phone number without a country code needs `region`, or it is left out.
- The same person from two sources is two contacts unless both have the same identifier. Ids that could be the same in
  two systems are kept apart by a prefix: `map = {{ identifier = {{ path = "$.id", prefix = "shop-" }} }}`.
- Deliveries that a product marks as tests are taken like all others, so that you can see yours arrive. Where there is a
  mark, the last line of the product's notes says how to ignore them.
- What a delivery holds of passwords, tokens and the like is never kept.
"""


def render() -> str:
    """The page."""
    parts = [INTRODUCTION, _index()]
    for family, presets in FAMILIES.items():
        parts.append(f"## {family}\n")
        parts += [_section(name, preset) for name, preset in presets.items()]
    parts.append(_unsupported())
    return "\n".join(parts)


def _index() -> str:
    rows = [f"| [{preset['title']}](#{_anchor(preset['title'])}) | `{name}` |" for name, preset in PRESETS.items()]
    return "\n".join(["| product | preset |", "|---|---|", *rows, ""])


def _anchor(title: str) -> str:
    """The fragment that a heading gets on GitHub and GitLab."""
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
    lines += ["", *notes] if notes else []
    return "\n".join([*lines, ""]).replace("{url}", address)


def _source(name: str, preset: Preset) -> Iterable[str]:
    yield f"[sources.{name}]"
    yield f'preset = "{name}"'
    if "secret_hint" in preset:
        yield f'secret = "${name.upper().replace("-", "_")}_SECRET"'
    yield from preset.get("needs", ())
    if "phone_number" in preset["map"]:
        yield 'region = "US"  # where phone numbers without a country code are from'


def _block(language: str, lines: Iterable[str]) -> list[str]:
    return [f"```{language}", *lines, "```"]


def _fields(preset: Preset) -> Iterable[str]:
    contact = preset.get("contact", "$")
    places = [_code(place) for place in ([contact] if isinstance(contact, str) else contact)]
    where = "" if contact == "$" else f", in {' or else '.join(places)}"
    yield f"| field | from{where} |"
    yield "|---|---|"
    told = preset.get("told", {})
    for field, rule in preset["map"].items():
        cell = (told.get(field) or _told(rule)).replace("|", r"\|")
        yield f"| `{field}` | {cell} |"


def _told(rule: object) -> str:
    """A rule of a mapping in words."""
    match rule:
        case str():
            return _code(rule)
        case list():
            return ", or else ".join(_told(alternative) for alternative in rule)
        case {"join": list() as parts}:
            return " and ".join(f"({_told(part)})" if isinstance(part, list) else _told(part) for part in parts)
        case {"header": str() as name}:
            return f"the header `{name}`"
        case {"constant": constant}:
            return f"always `{constant}`"
        case {"path": path, **treatments}:
            return _told(path) + "".join(_treatment(str(how), value) for how, value in treatments.items())
    raise ValueError(f"there are no words for {rule!r}")


def _treatment(how: str, value: object) -> str:
    match how, value:
        case "unless_equal", _:
            return f" unless it equals {_told(value)}"
        case "prefix", str():
            return f" after `{value}`"
        case "prefix", _:
            return f" after {_told(value)}"
        case "base", _:
            return f", relative to {_told(value)}"
        case "replace", dict():
            return "".join(f", with `{old}` as `{new}`" for old, new in value.items())
    raise ValueError(f"there are no words for {how!r}")


def _tests(preset: Preset) -> Iterable[str]:
    if "tests" in preset:
        yield f"To ignore test deliveries: `test_if = {preset['tests']}`."


def _unsupported() -> str:
    lines = ["## Not supported", "", "These send an id and nothing else; who it is would have to be asked for.", ""]
    lines += [_prose(f"**{what}**: {why} {instead}", "- ") for what, why, instead in UNSUPPORTED]
    return "\n".join([*lines, ""])


def _code(path: str) -> str:
    return f"`{path if path == '$' else path.removeprefix('$.')}`"


def _prose(text: str, bullet: str = "") -> str:
    """``text`` in lines of ``WIDTH``, as an item of a list where there is a ``bullet``."""
    indent = " " * len(bullet)
    kept = _CODE.sub(lambda code: code[0].replace(" ", _NO_BREAK), bullet + text)
    lines = fill(kept, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return lines.replace(_NO_BREAK, " ")


def main() -> None:
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
