"""Clashes in words: what one is, and how an operator resolves it."""

import json

from webhook_app.present.wording import counted

#: The two ways to resolve a clash, as an operator knows it.
TWO_PEOPLE = "Two people have the same identifier in two systems."
SAME_PERSON = "Both deliveries are about one person."


def clashing(number: int) -> str:
    """``1 delivery clashes``, ``12 deliveries clash``."""
    return f"{counted(number, 'delivery', 'deliveries')} {'clashes' if number == 1 else 'clash'}"


def explain(source: str, other: str) -> str:
    """Return what is wrong with a delivery of ``source`` that clashes."""
    whose = f"a person of `{other}`"
    if source == other:
        whose = "a person that this source sent before its `id_space` was changed"
    return (
        f"The identifier of this delivery from `{source}` belongs to {whose}, "
        "and neither e-mail address nor phone number agrees."
    )


def keep_apart(source: str, id_prefix: str) -> str:
    """Return how two sources use different identifiers from now on."""
    line = f"id_prefix = {json.dumps(id_prefix)}"
    return f"So that this does not recur, add `{line}` to `[sources.{source}]` in sources.toml, and restart."


def join(source: str, other: str, id_space: str) -> str:
    """Return how two sources share their identifiers from now on."""
    line = f"id_space = {json.dumps(id_space)}"
    return (
        f"If every identifier of `{source}` is the same person as in `{other}`, "
        f"add `{line}` to `[sources.{source}]` in sources.toml, and restart."
    )
