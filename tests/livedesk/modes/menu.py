"""How a function becomes a mode, and what several modes share."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.livedesk.contact import Json
from tests.livedesk.exchange import Exchange
from tests.livedesk.rules import Rule, shape_among

Act = Callable[[Exchange, Rule], None]
Check = Callable[[Rule], None]


@dataclass(frozen=True, slots=True)
class Mode:
    """A misbehaviour and the default options of its rules."""

    act: Act
    defaults: Mapping[str, Any]
    check: Check = shape_among


MODES: dict[str, Mode] = {}
FILTERS = frozenset({"invisible", "crm_v2", "search_lag"})
"""The modes that hide contacts from an answer: their ``identifier`` names the contact, not the request."""


def mode(*, check: Check = shape_among, **defaults: object) -> Callable[[Act], Act]:
    """Register a function as a mode."""

    def enter(act: Act) -> Act:
        MODES[act.__name__] = Mode(act, {"mode": act.__name__, **defaults}, check)
        return act

    return enter


def execute_if_wanted(exchange: Exchange, rule: Rule) -> None:
    if rule.commit:
        exchange.execute()


def send_damaged(exchange: Exchange, damage: Callable[[Json], object]) -> None:
    """Send the normal answer after applying ``damage`` to each contact in it."""
    answer = exchange.execute()
    if answer.is_success and answer.body:
        body = answer.payload
        for contact in contacts_in(body):
            damage(contact)
        answer = replace(answer, body=json.dumps(body).encode())
    exchange.send(answer)


def contacts_in(body: Json) -> list[Json]:
    """Return the contacts in the answer to a create, a list, or an update."""
    payload = body["payload"]
    return payload if isinstance(payload, list) else [payload.get("contact", payload)]
