"""What the contacts API does with a request: route, authenticate, execute, answer.

Source: livedesk-api.md 1.1 to 1.5 and 2.1 to 2.9.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

from tests.livedesk import message
from tests.livedesk.book import INDEXED, Book, Broken, Missing, Online, Refused
from tests.livedesk.contact import HASHES, Contact, Json, is_blank, whole_number
from tests.livedesk.inbox import InvalidSource, ParameterMissing, Unsupported
from tests.livedesk.message import Answer, Request
from tests.livedesk.search import PAGE, page_of

CONTACTS = "/api/v2/accounts/contacts"
ONE_CONTACT = re.compile(re.escape(CONTACTS) + r"/([^/]+)")
LARGE = 5_000
"""Contacts above which a search that is sorted by time takes a short cut."""
MAX_NESTING = 100
"""The depth limit of Ruby's JSON parser."""

KINDS = ("create", "search", "update", "read", "delete", "other")


@dataclass(frozen=True, slots=True)
class Quirks:
    """How this execution differs from a healthy one; the misbehaviours set these."""

    language: str = "en"
    race_lost: bool = False
    """A taken identifier or e-mail violates the unique index (500) instead of the validation (422)."""
    identifier_kept: bool = True
    identifier_unique: bool = True
    attributes_kept: bool = True
    attributes_merged: bool = True
    q_heeded: bool = True
    chatwoot_sort: bool = False
    """A ``-`` before the name of the field reverses the order, and ``direction`` is ignored."""
    newer_search: bool = False
    """The search of later versions of Chatwoot (``search.NewerQuery``)."""
    is_visible: Callable[[Contact, float], bool] = lambda contact, age: True
    """Whether a list or search shows a contact that is ``age`` seconds old."""


HEALTHY = Quirks()


def route(method: str, path: str) -> tuple[str, str]:
    """Return the kind of the request, and the contact's id if the path has one."""
    path = path.removesuffix("/")
    if path == CONTACTS:
        return {"POST": "create", "GET": "search", "HEAD": "search"}.get(method, "other"), ""
    one = ONE_CONTACT.fullmatch(path)
    by_id = {"PATCH": "update", "PUT": "update", "GET": "read", "HEAD": "read", "DELETE": "delete"}
    return (by_id.get(method, "other"), one[1]) if one else ("other", "")


def fields_of(encoded: str) -> dict[str, str]:
    """Return the parameters of a query string or form; the last of equal names counts."""
    return dict(parse_qsl(encoded, keep_blank_values=True))


def body_of(headers: Message, body: bytes) -> Json | None:
    """The parameters in a body, ``None`` if it is not what its content type says.

    Rails ignores unknown types.
    """
    media_type = headers.get_content_type() if "Content-Type" in headers else ""
    if media_type == "application/x-www-form-urlencoded":
        return dict[str, Any](fields_of(body.decode(errors="replace")))
    return json_object(body) if body and media_type == "application/json" else {}


def json_object(body: bytes) -> Json | None:
    """Return a JSON body as Rails reads it: only an object has parameters.

    ``None`` if it is broken.
    """
    try:
        value = json.loads(body.decode(), parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return None
    if depth_of(value) > MAX_NESTING:
        return None
    return value if isinstance(value, dict) else {}


def refuse_constant(name: str) -> None:
    """Python accepts NaN and Infinity, which are not JSON."""
    raise ValueError(name)


def depth_of(value: object) -> int:
    """Return how deeply lists and objects are nested; stops counting beyond the limit."""
    layer, depth = [value], 0
    while (layer := [item for item in layer if isinstance(item, dict | list)]) and depth <= MAX_NESTING:
        layer = [child for item in layer for child in (item.values() if isinstance(item, dict) else item)]
        depth += 1
    return depth


@dataclass(slots=True)
class Credentials:
    """The key and secret that are valid now."""

    api_key: str
    api_secret: str

    def refusal(self, headers: Message) -> Answer | None:
        """Return the 401 for this request, or ``None`` if its credentials are right."""
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        if not scheme:
            return message.error_shaped(401, "Unauthorized", "errors_list")
        try:
            given = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            given = ""
        right = scheme.lower() == "basic" and given == f"{self.api_key}:{self.api_secret}"
        return None if right else message.error_shaped(401, "Unauthorized", "error_text")


class Service:
    """The API over one book."""

    def __init__(self, book: Book, credentials: Credentials, *, by_id: bool = False) -> None:
        self._book, self._credentials = book, credentials
        self._actions: dict[str, Callable[[Request, Quirks], Answer]] = {
            "create": self._create,
            "search": self._search,
            "update": self._update,
        }
        if by_id:
            self._actions |= {"read": self._read, "delete": self._delete}

    def execute(self, request: Request, quirks: Quirks = HEALTHY) -> Answer:
        """Do and answer what a healthy LiveDesk would, or one with these quirks."""
        action = self._actions.get(request.kind)
        if action is None:
            return message.no_route()
        refusal = self._credentials.refusal(request.headers)
        if refusal is not None:
            return refusal
        if request.params is None:
            return message.bad_request()
        try:
            return action(request, quirks)
        except Missing:
            return message.not_found()
        except (Broken, Unsupported):
            return message.server_error()
        except ParameterMissing as error:
            return message.parameter_missing(str(error))
        except InvalidSource as error:
            return message.invalid_source(str(error))
        except Online as error:
            return message.online(error.name)
        except Refused as error:
            return self._refusal(error, quirks)

    def _refusal(self, error: Refused, quirks: Quirks) -> Answer:
        faults = error.faults
        if quirks.race_lost:
            faults = [fault for fault in faults if fault.kind != "taken" or fault.attribute not in INDEXED]
        return message.invalid(faults, quirks.language) if faults else message.server_error()

    def _create(self, request: Request, quirks: Quirks) -> Answer:
        params = kept(request, quirks)
        if not quirks.identifier_kept:
            params.pop("identifier", None)
        return message.created(self._book.create(params, identifier_unique=quirks.identifier_unique))

    def _update(self, request: Request, quirks: Quirks) -> Answer:
        params = kept(request, quirks)
        return message.shown(self._book.update(request.contact_id, params, merging=quirks.attributes_merged))

    def _read(self, request: Request, quirks: Quirks) -> Answer:
        return message.shown(self._book.get(request.contact_id))

    def _delete(self, request: Request, quirks: Quirks) -> Answer:
        return Answer(200, contact=self._book.destroy(request.contact_id))

    def _search(self, request: Request, quirks: Quirks) -> Answer:
        q = request.query.get("q")
        if q is not None and is_blank(q):
            return message.json_answer(422, {"error": "Specify search string with parameter q"})
        sort, direction = order_of(request.query, quirks)
        number, size = whole_number(request.query.get("page", "1")), whole_number(request.query.get("page_size", "0"))
        if len(self._book) > LARGE and q is not None and sort == "created_at" and is_indexed(quirks):
            upto = max(number, 1) * PAGE
            arranged, count = self._book.first_by_time(q, direction, upto, newer=quirks.newer_search)
        else:
            found, now = self._found(q if quirks.q_heeded else None, request.query, quirks), self._book.clock()
            visible = [contact for contact in found if quirks.is_visible(contact, now - contact.created_at)]
            arranged, count = self._book.arranged(visible, sort, direction), len(visible)
        page = page_of(arranged, number, size)
        meta: Json = {"count": count, "current_page": request.query.get("page", 1)}
        if quirks.newer_search:
            meta |= {"count": len(page), "has_more": count > number * PAGE}
        with_inboxes = request.query.get("include_contact_inboxes") or "true"
        return message.listed(page, meta, with_inboxes=with_inboxes == "true")

    def _found(self, q: str | None, query: Mapping[str, str], quirks: Quirks) -> list[Contact]:
        """No contact here has a label, so a list restricted to labels is empty."""
        labelled = not is_blank(query.get("labels")) or not is_blank(query.get("labels[]"))
        return [] if labelled else self._book.search(q, newer=quirks.newer_search)


def is_indexed(quirks: Quirks) -> bool:
    """Whether the search can be answered without comparing every contact."""
    return quirks.q_heeded and quirks.is_visible is HEALTHY.is_visible


def order_of(query: Mapping[str, str], quirks: Quirks) -> tuple[str, str]:
    """Return the field to sort by, and the direction."""
    sort = query.get("sort", "")
    if quirks.chatwoot_sort:  # the gem procore-sift 1.0.0, lib/sift/sort.rb
        return sort.removeprefix("-"), "desc" if sort.startswith("-") else "asc"
    return sort, query.get("direction", "asc")


def kept(request: Request, quirks: Quirks) -> Json:
    """Return what this LiveDesk accepts of the parameters."""
    params = dict(request.params or {})
    return params if quirks.attributes_kept else {name: params[name] for name in params if name not in HASHES}
