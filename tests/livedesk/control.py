"""The control API under ``/_control/``: no credentials, no misbehaviour.

The package docstring lists it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict

from tests.livedesk.book import Broken, Missing, Refused
from tests.livedesk.contact import Contact, Json
from tests.livedesk.inbox import API
from tests.livedesk.message import Answer, json_answer
from tests.livedesk.modes import MODES
from tests.livedesk.rules import BadRule, rule_of
from tests.livedesk.world import World

PREFIX = "/_control/"
DEFAULTS = {name: mode.defaults for name, mode in MODES.items()}


class BadControl(Exception):
    """The request to the control API is invalid; the text says why."""


def control(world: World, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
    """Answer one request to the control API.

    An invalid one gets status 400 and one sentence.
    """
    action = ACTIONS.get((method, path.removeprefix(PREFIX)))
    if action is None:
        return json_answer(404, {"error": f"There is no {method} {path}."})
    try:
        return json_answer(200, action(world, query, object_of(body)))
    except (BadRule, BadControl) as error:
        return json_answer(400, {"error": str(error)})
    except Refused as error:
        return json_answer(400, {"error": f"The contact is invalid: {error}."})
    except Missing:
        return json_answer(400, {"error": "There is no such contact or inbox."})
    except Broken:
        return json_answer(400, {"error": "The database would not take that."})


def object_of(body: bytes) -> Json:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise BadControl("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise BadControl("The body must be a JSON object.")
    return value


def behave(world: World, query: Mapping[str, str], params: Json) -> Json:
    rule = rule_of(params, DEFAULTS)
    MODES[rule.mode].check(rule)
    return {"id": world.scene.rules.add(rule)} | asdict(rule)


def rules(world: World, query: Mapping[str, str], params: Json) -> object:
    return world.scene.rules.listed()


def clear(world: World, query: Mapping[str, str], params: Json) -> Json:
    world.scene.rules.clear()
    return {}


def ledger(world: World, query: Mapping[str, str], params: Json) -> object:
    return [asdict(entry) for entry in world.scene.ledger.entries()]


def requests(world: World, query: Mapping[str, str], params: Json) -> object:
    return world.scene.ledger.records(query.get("kind"))


def stats(world: World, query: Mapping[str, str], params: Json) -> Json:
    return asdict(world.scene.ledger.stats(len(world.scene.book)))


def contacts(world: World, query: Mapping[str, str], params: Json) -> object:
    wanted = query.get("identifier")
    found = world.scene.book.contacts()
    return [asdict(contact) for contact in found if wanted is None or contact.identifier == wanted]


def add_contact(world: World, query: Mapping[str, str], params: Json) -> Json:
    return asdict(world.scene.book.insert(params, unchecked=params.get("unchecked") is True))


def fill(world: World, query: Mapping[str, str], params: Json) -> Json:
    count, oldest_s, newest_s = params.get("count"), params.get("oldest_s", 31_536_000), params.get("newest_s", 0)
    if not isinstance(count, int) or not 1 <= count <= 1_000_000:
        raise BadControl("count must be a number from 1 to 1000000.")
    if not isinstance(oldest_s, int | float) or not isinstance(newest_s, int | float):
        raise BadControl("oldest_s and newest_s must be numbers.")
    world.scene.book.fill(count, oldest_s=oldest_s, newest_s=newest_s)
    return {}


def inbox(world: World, query: Mapping[str, str], params: Json) -> Json:
    inbox_id, channel = params.get("id"), params.get("channel_type", API)
    if not isinstance(inbox_id, int) or not isinstance(channel, str):
        raise BadControl("id must be a number, and channel_type a text.")
    world.scene.book.channels[inbox_id] = channel
    return {}


def merge(world: World, query: Mapping[str, str], params: Json) -> Json:
    return asdict(world.scene.book.merge(params.get("base"), params.get("mergee")))


def delete(world: World, query: Mapping[str, str], params: Json) -> Json:
    contact: Contact = world.scene.book.delete(params.get("id"))
    return asdict(contact)


def edit(world: World, query: Mapping[str, str], params: Json) -> Json:
    return asdict(world.scene.book.update(params.get("id"), params))


def presence(world: World, query: Mapping[str, str], params: Json) -> Json:
    return asdict(world.scene.book.set_online(params.get("id"), online=params.get("online") is True))


def credentials(world: World, query: Mapping[str, str], params: Json) -> Json:
    for name in ("api_key", "api_secret"):
        if not isinstance(params.get(name), str):
            raise BadControl(f"{name} must be a text.")
    world.scene.credentials.api_key, world.scene.credentials.api_secret = params["api_key"], params["api_secret"]
    return {}


def reset(world: World, query: Mapping[str, str], params: Json) -> Json:
    world.reset()
    return {}


ACTIONS: Mapping[tuple[str, str], Callable[[World, Mapping[str, str], Json], object]] = {
    ("GET", "behave"): rules,
    ("POST", "behave"): behave,
    ("DELETE", "behave"): clear,
    ("GET", "ledger"): ledger,
    ("GET", "requests"): requests,
    ("GET", "stats"): stats,
    ("GET", "contacts"): contacts,
    ("POST", "contacts"): add_contact,
    ("POST", "fill"): fill,
    ("POST", "inbox"): inbox,
    ("POST", "merge"): merge,
    ("POST", "delete"): delete,
    ("POST", "edit"): edit,
    ("POST", "presence"): presence,
    ("POST", "credentials"): credentials,
    ("POST", "reset"): reset,
}
