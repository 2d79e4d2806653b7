"""What a preset says."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict


class Preset(TypedDict):
    """A ready-made source: what a table of the sources file may hold, and beside it what a person is told.

    The first part means what it means in the sources file (``config``), where each key of it can be overridden. The
    second makes ``docs/sources.md`` (``docs``): sentences in Markdown, in which ``{url}`` is the address of the source.
    """

    verify: object
    map: Mapping[str, object]
    contact: NotRequired[str | list[str]]
    only_if: NotRequired[Mapping[str, object]]
    ignore_if: NotRequired[Mapping[str, object]]
    test_if: NotRequired[Mapping[str, object]]
    body: NotRequired[str | list[str]]
    json_fields: NotRequired[list[str]]
    each: NotRequired[str]
    handshake: NotRequired[str]
    blocking: NotRequired[bool]

    #: The product, and for which kind of delivery where it has several.
    title: str
    #: Which deliveries count as signups.
    signup: str
    #: What to do in the product, step by step.
    console: list[str]
    #: What the secret looks like and where it is found; absent where none is needed.
    secret_hint: NotRequired[str]
    #: Lines of TOML that the source cannot do without.
    needs: NotRequired[list[str]]
    #: What an operator should know: traps, and what is worth overriding.
    notes: NotRequired[list[str]]
    #: Where a field comes from, in words, where its rule is too long to show.
    told: NotRequired[Mapping[str, str]]
    #: What ``test_if`` would be to ignore test deliveries. Presets take them: whoever sets one up wants to see a test.
    tests: NotRequired[str]
    #: Code to deploy, by its language.
    snippet: NotRequired[tuple[str, str]]
    #: Paths (JSONPath, from the whole payload) to what must not be kept: passwords, tokens, private metadata.
    secret_fields: NotRequired[list[str]]


#: What to say of a secret that the person makes up.
CHOSEN = "A random text that you choose, such as `openssl rand -hex 20` prints."
