"""The stand-in behaves as livedesk-api.md describes, and misbehaves as documented."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, ReadTimeout
from requests.exceptions import ConnectionError as NoConnection

from tests import livedesk
from tests.livedesk import MODES, Book, StandIn, StandInError, serve
from tests.livedesk.book import Broken, Missing, Refused
from tests.livedesk.message import ERROR_SHAPES
from tests.livedesk.modes.unusable import WRONG
from tests.livedesk.search import Contains

ROOT = Path(__file__).parents[2]
AUTH = ("demo-key", "demo-secret")
PERSON: dict[str, object] = {"inbox_id": 1, "identifier": "u-1", "name": "Alice", "email": "alice@example.com"}
SOON = 0.15
"""Seconds that a client here waits for an answer which is not to come."""


class Api:
    """A plain client of the imitated API: one keep-alive connection, no retries."""

    def __init__(self, standin: StandIn, session: requests.Session) -> None:
        self.standin, self.session = standin, session

    def call(self, method: str, tail: str = "", **options: Any) -> requests.Response:
        options = {"auth": AUTH, "timeout": 5, "allow_redirects": False, **options}
        return self.session.request(method, self.standin.contacts_url + tail, **options)

    def create(self, timeout: float = 5, **fields: object) -> requests.Response:
        return self.call("POST", json=PERSON | fields, timeout=timeout)

    def search(self, q: str, **params: object) -> requests.Response:
        return self.call("GET", params={"q": q, **params})

    def found(self, q: str, **params: object) -> list[str]:
        return [row["identifier"] for row in self.search(q, **params).json()["payload"]]

    def update(self, contact_id: object, **fields: object) -> requests.Response:
        return self.call("PATCH", f"/{contact_id}", json=fields)


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with serve(seed=1) as running:
        yield running
        assert running.stats().faults == 0


@pytest.fixture
def api(standin: StandIn) -> Iterator[Api]:
    with requests.Session() as session:
        session.trust_env = False
        yield Api(standin, session)


def messages_of(error: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [fault.message() for fault in error.value.faults]


# The book: 2.1, 2.3, 2.4


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"email": "Alice <a@b.c>"}, ["Email Invalid email"]),
        ({"email": " a@b.c"}, ["Email Invalid email"]),
        ({"email": "a@b"}, []),
        ({"email": "  "}, []),
        ({"phone_number": "+1"}, ["Phone number should be in e164 format"]),
        ({"phone_number": "+0123"}, ["Phone number should be in e164 format"]),
        ({"phone_number": "+1 234 567"}, ["Phone number should be in e164 format"]),
        ({"phone_number": "123456789"}, ["Phone number should be in e164 format"]),
        ({"phone_number": "+1234567890123456"}, ["Phone number should be in e164 format"]),
        ({"phone_number": "+12345\n"}, ["Phone number should be in e164 format"]),
        ({"phone_number": "+12"}, []),
        ({"phone_number": "tel:+8613912345678"}, []),
        ({"phone_number": ""}, []),
        ({"name": "x" * 255}, []),
        ({"name": "x" * 256}, ["Name is too long (maximum is 255 characters)"]),
        ({"identifier": "x" * 256}, ["Identifier is too long (maximum is 255 characters)"]),
        (
            {"name": "x" * 256, "email": "no", "phone_number": "no"},
            [
                "Name is too long (maximum is 255 characters)",
                "Email Invalid email",
                "Phone number should be in e164 format",
            ],
        ),
    ],
)
def test_book_validates(fields: dict[str, object], expected: list[str]) -> None:
    book = Book()
    if not expected:
        assert book.create(fields).id == 1
        return
    with pytest.raises(Refused) as error:
        book.create(fields)
    assert messages_of(error) == expected
    assert len(book) == 0


def test_book_keeps_identifier_email_and_phone_unique() -> None:
    book = Book()
    book.create({"identifier": "A", "email": "A@b.c", "phone_number": "+12"})
    assert book.create({"identifier": "a"}).identifier == "a", "identifiers differ by case"
    with pytest.raises(Refused) as error:
        book.create({"identifier": "A", "email": "a@B.C", "phone_number": "+12"})
    assert messages_of(error) == [f"{name} has already been taken" for name in ("Email", "Identifier", "Phone number")]


def test_book_casts_as_rails_does() -> None:
    contact = Book().create(
        {"identifier": 7, "name": True, "email": "", "blocked": "false", "avatar_url": "x", "id": 9}
    )
    assert (contact.id, contact.identifier, contact.name, contact.email, contact.blocked) == (1, "7", "t", None, False)
    assert Book().create({"identifier": ["a"], "name": None, "custom_attributes": "no"}).identifier is None


@pytest.mark.parametrize("blank", ["", "  "])
def test_book_breaks_on_the_second_blank_identifier(blank: str) -> None:
    book = Book()
    assert book.create({"identifier": blank}).identifier == blank
    with pytest.raises(Broken):
        book.create({"identifier": blank})


@pytest.mark.parametrize("poison", ["a\0b", "a\ud800b", {"deep": ["a\0"]}])
def test_book_breaks_on_what_the_database_cannot_store(poison: object) -> None:
    with pytest.raises(Broken):
        Book().create({"identifier": "ok", "custom_attributes": poison, "name": poison})


@pytest.mark.parametrize(("inbox_id", "links"), [(407, 1), ("407", 1), (" 407abc", 1), (None, 0), ("", 0), (False, 0)])
def test_book_links_the_inbox(inbox_id: object, links: int) -> None:
    assert len(Book([407]).create({"inbox_id": inbox_id}).links) == links


@pytest.mark.parametrize("inbox_id", [1, 0, "x", "9" * 30, 1e400, True, ["407"], {"a": 1}])
def test_book_leaves_nothing_behind_for_an_unknown_inbox(inbox_id: object) -> None:
    book = Book([407])
    with pytest.raises(Missing):
        book.create({"inbox_id": inbox_id, "identifier": "a"})
    assert len(book) == 0
    book.create({"identifier": "a"})


def test_book_breaks_on_a_source_id_that_another_contact_has() -> None:
    book = Book()
    assert book.create({"inbox_id": 1, "source_id": "s"}).links[0].source_id == "s"
    with pytest.raises(Broken):
        book.create({"inbox_id": 1, "source_id": "s"})


def test_update_merges_attributes_clears_nulls_and_checks_the_whole_row() -> None:
    book = Book()
    old = book.insert({"phone_number": "old 123", "name": "A", "custom_attributes": {"a": 1}}, unchecked=True)
    with pytest.raises(Refused) as error:
        book.update(old.id, {"name": "B"})
    assert messages_of(error) == ["Phone number should be in e164 format"]
    new = book.update(str(old.id), {"phone_number": None, "custom_attributes": {"b": 2}, "colour": "red"})
    assert (new.name, new.phone_number, new.custom_attributes) == ("A", None, {"a": 1, "b": 2})
    assert book.update(new.id, {"identifier": "x"}) == book.update(new.id, {"identifier": "x"}), "not taken by itself"


def test_an_identifier_is_free_again_after_update_delete_and_merge() -> None:
    book = Book()
    first = book.create({"identifier": "a"})
    book.update(first.id, {"identifier": "b"})
    second = book.create({"identifier": "a", "email": "a@b.c"})
    merged = book.merge(first.id, second.id)
    assert (merged.identifier, merged.email) == ("b", "a@b.c"), "the base wins, the mergee fills the gaps"
    with pytest.raises(Missing):
        book.update(second.id, {"name": "gone"})
    assert book.create({"identifier": "a"}).id == 3
    book.delete(first.id)
    assert book.create({"identifier": "b", "email": "a@b.c"}).id == 4


# Search: 2.6


@pytest.mark.parametrize(
    ("q", "text", "expected"),
    [
        ("b", "abc", True),
        ("B", "abc", False),
        ("a%c", "xabbcx", True),
        ("c%a", "abc", False),
        ("a_c", "abc", True),
        ("a_c", "ac", False),
        ("%", "", True),
        ("_", "", False),
        ("a\\b", "a\\b", False),
        ("a\\b", "ab", True),
        ("a\\\\b", "a\\b", True),
        ("a\\", "a\\", False),
        ("a\\", "a%", True),
        ("a\\", "a%b", False),
        ("a.c", "abc", False),
        ("a\nb", "a\nb", True),
        ("ab%ba", "aba", False),
    ],
)
def test_like(q: str, text: str, expected: bool) -> None:
    assert Contains(q)(text) is expected


def test_like_needs_no_exponential_time() -> None:
    started = time.monotonic()
    assert not Contains("%a_" * 60 + "b")("a" * 255)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("ABC", [1]),
        ("abc", []),
        ("b", [2, 3]),
        ("alice", [2, 3]),
        ("ALICE@X.ORG", [3]),
        ("+4930", [2]),
        ("acme", [2]),
        ("a%e", [2, 3]),
        ("ΣΑΣ", [2]),
        ("  ABC ", [1]),
        ("nobody", []),
        ("4", [2]),
    ],
)
def test_book_searches_identifiers_by_case_and_the_rest_without(q: str, ids: list[int]) -> None:
    book = Book()
    book.create({"identifier": "ABC"})
    book.create(
        {"name": "Alice Σασα", "phone_number": "+4930123", "additional_attributes": {"company_name": "Acme GmbH"}}
    )
    book.create({"email": "alice@x.org", "name": "Bob"})
    book.create({"name": "Alice, not resolved"})
    assert sorted(contact.id for contact in book.search(q)) == ids


# The API over HTTP: 2.1 to 2.3


def test_create_answers_200_and_the_shape_of_the_page(api: Api, standin: StandIn) -> None:
    response = api.create(email="Alice@Example.com", phone_number="+4930123", unknown="dropped")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    payload = response.json()["payload"]
    contact = payload["contact"]
    assert list(contact) == [
        *("additional_attributes", "availability_status", "email", "id", "name", "phone_number", "blocked"),
        *("identifier", "thumbnail", "custom_attributes", "created_at", "contact_inboxes"),
    ]
    assert (contact["id"], contact["identifier"], contact["email"]) == (1, "u-1", "alice@example.com")
    assert contact["contact_inboxes"][0]["source_id"] == payload["contact_inbox"]["source_id"]
    assert payload["contact_inbox"]["inbox"]["id"] == 1
    [entry] = standin.ledger()
    assert (entry.identifier, entry.contact_id, entry.email, entry.request) == ("u-1", 1, "alice@example.com", 1)


def test_create_without_inbox_has_none(api: Api) -> None:
    assert api.create(inbox_id="").json()["payload"]["contact_inbox"] == {"inbox": None, "source_id": None}


def test_the_errors_of_create(api: Api, standin: StandIn) -> None:
    api.create()
    both = api.create(email="ALICE@example.com", phone_number="12", name="n" * 256)
    assert both.status_code == 422
    assert both.json() == {
        "message": "Name is too long (maximum is 255 characters), Email has already been taken, "
        "Identifier has already been taken, Phone number should be in e164 format",
        "attributes": ["name", "email", "identifier", "phone_number"],
    }
    assert (api.create(identifier="u\0").status_code, api.create(identifier="\ud800").status_code) == (500, 500)
    unknown = api.create(identifier="u-2", email=None, inbox_id=2)
    assert (unknown.status_code, unknown.json()) == (404, {"error": "Resource could not be found"})
    assert [record.verdict for record in standin.requests()] == [200, 422, 500, 500, 404]
    assert len(standin.contacts()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a": NaN}',
        b"\xff{}",
        b"[" * 200_000,
        b'{"a":' * 101 + b"1" + b"}" * 101,
        b"9" * 5000,
        b'{"identifier": "a',
    ],
)
def test_malformed_json_is_400(api: Api, body: bytes) -> None:
    response = api.call("POST", data=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()) == (400, {"status": 400, "error": "Bad Request"})


def test_a_body_counts_by_its_content_type(api: Api, standin: StandIn) -> None:
    assert api.call("POST", data={"identifier": "form", "inbox_id": "1"}).status_code == 200
    assert api.call("POST", data=b'{"identifier": "untyped"}').status_code == 200
    assert api.call("POST", json=["a list"]).status_code == 200
    chunks = iter([b'{"identifier": ', b'"chunked"}'])
    assert api.call("POST", data=chunks, headers={"Content-Type": "application/json"}).status_code == 200
    assert [contact.identifier for contact in standin.contacts()] == ["form", None, None, "chunked"]


def test_credentials(api: Api, standin: StandIn) -> None:
    invalid = (401, {"error": "Invalid Access Token"})
    for auth in (("demo-key", "wrong"), ("", "")):
        response = api.call("POST", json=PERSON, auth=auth)
        assert (response.status_code, response.json()) == invalid
    for header in ("Basic ???", "Basic", "Bearer demo-secret", "Basic gICA"):
        response = api.call("POST", json=PERSON, auth=None, headers={"Authorization": header})
        assert (response.status_code, response.json()) == invalid
    assert list(api.call("POST", json=PERSON, auth=None).json()) == ["errors"]
    standin.set_credentials("new", "schlüssel")
    assert api.create().status_code == 401
    assert api.call("POST", json=PERSON, auth=("new", "schlüssel".encode())).status_code == 200
    assert len(standin.ledger()) == 1


def test_other_paths_and_methods_are_404(api: Api, standin: StandIn) -> None:
    api.create()
    for method, tail in (("PUT", ""), ("DELETE", ""), ("GET", "/1"), ("DELETE", "/1"), ("POST", "/1"), ("GET", "/1/x")):
        response = api.call(method, tail)
        assert (response.status_code, response.json()) == (404, {"status": 404, "error": "Not Found"})
    assert api.call("GET", "/").status_code == 200
    head = api.call("HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert standin.stats().received["other"] == 4


def test_by_id_is_there_when_switched_on() -> None:
    with serve(by_id=True) as standin, requests.Session() as session:
        api = Api(standin, session)
        api.create()
        assert api.call("GET", "/1").json()["payload"]["identifier"] == "u-1"
        assert (api.call("DELETE", "/1").status_code, api.call("GET", "/1").status_code) == (200, 404)


def test_update(api: Api, standin: StandIn) -> None:
    api.create()
    standin.add_contact(email="bob@example.com", inbox_id=1)
    response = api.update(2, identifier="u-2", custom_attributes={"plan": "free"})
    assert (response.status_code, response.json()["payload"]["identifier"]) == (200, "u-2")
    assert api.call("PUT", "/2", json={"name": None}).json()["payload"]["name"] is None
    taken = api.update(2, identifier="u-1")
    assert (taken.status_code, taken.json()["attributes"]) == (422, ["identifier"])
    standin.merge(1, 2)
    gone = api.update(2, name="B")
    assert (gone.status_code, gone.json()) == (404, {"error": "Resource could not be found"})
    assert [api.update(contact_id).status_code for contact_id in ("0", "x", "9" * 40)] == [404, 404, 404]


# Lists and searches: 1.4, 2.6


def test_list_pages(api: Api, standin: StandIn) -> None:
    for number in range(31):
        standin.add_contact(identifier=f"u-{number:02}", name=f"N{30 - number:02}")
    standin.add_contact(name="not resolved")
    first = api.call("GET").json()
    assert (first["meta"], len(first["payload"])) == ({"count": 31, "current_page": 1}, 15)
    third = api.call("GET", params={"page": 3, "sort": "created_at", "direction": "desc"}).json()
    assert third["meta"]["current_page"] == "3"
    assert [row["identifier"] for row in third["payload"]] == ["u-00"]
    assert api.found("u-", sort="name", direction="asc", page_size=2) == ["u-30", "u-29"]
    assert len(api.found("u-", page_size=100)) == len(api.found("u-", page="x")) == 15
    assert api.found("u-", page=4) == api.found("u-", labels="vip") == []


def test_without_sort_there_is_no_order(api: Api, standin: StandIn) -> None:
    for number in range(15):
        standin.add_contact(identifier=f"u-{number}")
    orders = {tuple(api.found("u-")) for _ in range(5)}
    assert len(orders) > 1
    assert len({tuple(sorted(order)) for order in orders}) == 1


def test_search_query(api: Api) -> None:
    api.create(identifier="a+b %_ü")
    assert api.found("a+b %_ü") == ["a+b %_ü"]
    for blank in ("", "  "):
        response = api.search(blank)
        assert (response.status_code, response.json()) == (422, {"error": "Specify search string with parameter q"})
    assert api.search("a\0").status_code == 500
    assert "contact_inboxes" not in api.search("a", include_contact_inboxes="false").json()["payload"][0]
    assert "contact_inboxes" in api.search("a").json()["payload"][0]


# Creates at the same time: 2.4


def test_of_many_equal_creates_one_is_executed(standin: StandIn) -> None:
    def create(_: int) -> int:
        return requests.post(standin.contacts_url, json=PERSON, auth=AUTH, timeout=5).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = sorted(pool.map(create, range(48)))
    assert statuses == [200] + [422] * 47
    stats = standin.stats()
    assert (stats.executed, stats.duplicates, stats.in_flight, stats.contacts) == (1, 0, 0, 1)


def test_creates_that_overlap_are_recorded(api: Api, standin: StandIn) -> None:
    standin.behave("hang", times=1)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(requests.post, standin.contacts_url, json=PERSON, auth=AUTH, timeout=SOON)
        while standin.stats().in_flight == 0:
            time.sleep(0.005)
        api.create()
        assert isinstance(held.exception(), ReadTimeout)
    [(earlier, later)] = standin.overlapping()
    assert (earlier.mode, later.mode, standin.stats().overlaps) == ("hang", None, 1)
    settled(standin)
    api.create()
    assert len(standin.overlapping()) == 1


def settled(standin: StandIn) -> None:
    """Wait until no request is in flight any more."""
    deadline = time.monotonic() + 3
    while standin.stats().in_flight:
        assert time.monotonic() < deadline, "still in flight"
        time.sleep(0.005)


# The menu: lost, late, slow


@pytest.mark.parametrize(
    ("mode", "error", "ending"),
    [
        ("commit_then_hang", ReadTimeout, "client_left"),
        ("commit_then_reset", NoConnection, "broken"),
        ("commit_then_close", NoConnection, "broken"),
        ("commit_then_truncate", ChunkedEncodingError, "broken"),
    ],
)
def test_commit_then_no_answer(api: Api, standin: StandIn, mode: str, error: type[Exception], ending: str) -> None:
    standin.behave(mode, times=1, on="create")
    with pytest.raises(error):
        api.create(timeout=SOON)
    settled(standin)
    [record] = standin.requests()
    assert (record.mode, record.verdict, record.contact_id, record.ending) == (mode, 200, 1, ending)
    assert record.executed is not None
    assert api.create().json()["attributes"] == ["email", "identifier"]
    assert len(standin.ledger()) == 1


@pytest.mark.parametrize(
    ("mode", "error", "ending"),
    [
        ("hang", ReadTimeout, "client_left"),
        ("reset", NoConnection, "broken"),
        ("close", NoConnection, "broken"),
        ("garbage", NoConnection, "broken"),
    ],
)
def test_no_commit_and_no_answer(api: Api, standin: StandIn, mode: str, error: type[Exception], ending: str) -> None:
    standin.behave(mode, times=1)
    with pytest.raises(error):
        api.create(timeout=SOON)
    settled(standin)
    [record] = standin.requests()
    assert (record.verdict, record.executed, record.status, record.ending) == (None, None, None, ending)
    assert api.create().status_code == 200


@pytest.mark.parametrize(("mode", "error"), [("reset", ConnectionResetError), ("close", None)])
def test_reset_is_a_reset_and_close_is_not(standin: StandIn, mode: str, error: type[Exception] | None) -> None:
    standin.behave(mode)
    with connect(standin) as raw:
        raw.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        if error is None:
            assert raw.recv(1) == b""
        else:
            with pytest.raises(error):
                raw.recv(1)


def connect(standin: StandIn) -> socket.socket:
    address = urlsplit(standin.url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 0), timeout=3)


def test_commit_then_500(api: Api, standin: StandIn) -> None:
    standin.behave("commit_then_500", times=1, shape="html")
    response = api.create()
    assert (response.status_code, response.headers["Content-Type"]) == (500, "text/html")
    assert (len(standin.ledger()), standin.requests()[0].verdict) == (1, 200)


def test_hang_then_commit_commits_after_the_client_has_gone(api: Api, standin: StandIn) -> None:
    standin.behave("hang_then_commit", times=1, delay=0.25)
    with pytest.raises(ReadTimeout):
        api.create(timeout=0.05)
    assert api.found("u-1") == [], "looked up too early"
    while not standin.ledger():
        time.sleep(0.01)
    [record] = standin.requests()
    assert record.ending == "client_left"
    assert record.executed is not None
    assert record.finished is not None
    assert record.received + 0.25 <= record.executed
    assert record.finished < record.executed
    assert api.found("u-1") == ["u-1"]


def test_slow_drops_a_request_whose_client_left(api: Api, standin: StandIn) -> None:
    standin.behave("slow", delay=0.1)
    started = time.monotonic()
    assert api.create().status_code == 200
    assert time.monotonic() - started >= 0.1
    with pytest.raises(ReadTimeout):
        api.create(timeout=0.03, identifier="u-2", email=None)
    settled(standin)
    assert len(standin.ledger()) == 1


def test_drip_takes_its_time(api: Api, standin: StandIn) -> None:
    standin.behave("drip", delay=0.0001)
    started = time.monotonic()
    response = api.create()
    assert response.json()["payload"]["contact"]["id"] == 1
    assert time.monotonic() - started > 0.0001 * len(response.content)


def test_a_drip_outlives_a_read_timeout(standin: StandIn) -> None:
    standin.behave("drip", delay=0.01)
    with connect(standin) as raw:
        raw.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [raw.recv(10) for _ in range(4)] == [b"H", b"T", b"T", b"P"]


def test_idle_close_leaves_a_dead_connection(standin: StandIn) -> None:
    standin.behave("idle_close", times=1)
    with connect(standin) as raw:
        raw.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert b"Connection: close" not in answer
    assert answer.startswith(b"HTTP/1.1 404 ")


# The menu: errors


@pytest.mark.parametrize(
    ("mode", "code", "content_type"),
    [
        ("status", 500, "application/json; charset=utf-8"),
        ("status_500", 500, "application/json; charset=utf-8"),
        ("html_502", 502, "text/html"),
        ("html_503", 503, "text/html"),
        ("status_504", 504, "text/html"),
        ("throttle", 429, "text/plain"),
        ("unauthorized", 401, "application/json; charset=utf-8"),
        ("forbidden", 403, "application/json; charset=utf-8"),
        ("not_found", 404, "application/json; charset=utf-8"),
        ("method_not_allowed", 405, "application/json; charset=utf-8"),
        ("redirect", 302, "text/html"),
    ],
)
@pytest.mark.parametrize("commit", [False, True])
def test_error_modes(api: Api, standin: StandIn, mode: str, code: int, content_type: str, commit: bool) -> None:
    standin.behave(mode, times=1, commit=commit)
    response = api.create()
    assert (response.status_code, response.headers["Content-Type"]) == (code, content_type)
    assert len(standin.ledger()) == commit
    assert standin.requests()[0].status == code


@pytest.mark.parametrize("shape", ERROR_SHAPES)
def test_every_shape_of_a_401(api: Api, standin: StandIn, shape: str) -> None:
    standin.behave("unauthorized", shape=shape)
    response = api.create()
    assert response.status_code == 401
    assert (response.content == b"") == (shape == "empty")
    if shape not in ("text", "html", "empty"):
        assert set(response.json()) <= {"error", "errors", "status", "code", "message", "attributes"}


def test_retry_after(api: Api, standin: StandIn) -> None:
    standin.behave("throttle", times=1)
    bare = api.create()
    assert (bare.text, "Retry-After" in bare.headers) == ("Retry later\n", False)
    for value, expected in ((7, "7"), (1.5, "1.5"), ("soon\r\nX: y", "soon  X: y")):
        standin.behave("throttle", times=1, retry_after=value)
        assert api.create().headers["Retry-After"] == expected
    standin.behave("html_503", times=1, retry_after=30, as_date=True)
    until = parsedate_to_datetime(api.create().headers["Retry-After"])
    assert 28 < until.timestamp() - time.time() <= 31


def test_redirect_shows_when_it_is_followed(api: Api, standin: StandIn) -> None:
    standin.behave("redirect", times=1, status=307)
    response = api.call("POST", json=PERSON, allow_redirects=True)
    assert [record.path for record in standin.requests("other")] == ["/elsewhere"]
    assert response.history[0].status_code == 307


def test_status_with_any_body(api: Api, standin: StandIn) -> None:
    standin.behave("status", status=599, body='{"error": "näh"}', content_type="application/problem+json")
    response = api.create()
    assert (response.status_code, response.json()) == (599, {"error": "näh"})


# The menu: 2xx that nobody can use


@pytest.mark.parametrize("commit", [False, True])
@pytest.mark.parametrize("mode", ["html_200", "empty_200", "deep_json_200", "huge_200"])
def test_unusable_200(api: Api, standin: StandIn, mode: str, commit: bool) -> None:
    standin.behave(mode, size=100_000, depth=50_000, commit=commit)
    response = api.create()
    assert response.status_code == 200
    assert len(standin.ledger()) == commit
    if mode == "huge_200":
        assert len(response.content) == 100_000
        assert list(response.json()) == ["payload"]
    else:
        with pytest.raises((ValueError, RecursionError)):
            response.json()


def test_huge_200_is_endless_without_a_size(api: Api, standin: StandIn) -> None:
    standin.behave("huge_200", times=1)
    with api.call("POST", json=PERSON, stream=True) as response:
        assert sum(len(block) for block, _ in zip(response.iter_content(65_536), range(50), strict=False)) > 1_000_000
    settled(standin)
    assert standin.requests()[0].ending == "client_left"


@pytest.mark.parametrize("shape", WRONG)
@pytest.mark.parametrize("on", ["create", "search", "update"])
def test_wrong_types_200(api: Api, standin: StandIn, shape: str, on: str) -> None:
    standin.add_contact(identifier="u-0")
    standin.behave("wrong_types_200", shape=shape, on=on)
    answers = {"create": api.create(), "search": api.search("u-0"), "update": api.update(1, name="N")}
    assert [answer.status_code for answer in answers.values()] == [200, 200, 200]
    contact = answers["create"].json()["payload"]["contact"] if on != "create" else {"id": 2}
    assert contact["id"] == 2, "the others stay healthy"
    body = answers[on].json()
    if shape == "id_list":
        assert '"id": [1]' in answers[on].text
    if shape.startswith("payload"):
        assert not isinstance(body["payload"], dict)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("string_id", {"id": "1", "identifier": "u-1"}),
        ("no_id_200", {"identifier": "u-1"}),
        ("null_identifier_echo", {"id": 1, "identifier": None}),
        ("other_identifier_echo", {"id": 1, "identifier": "u-1-other"}),
    ],
)
def test_damaged_answers(api: Api, standin: StandIn, mode: str, expected: dict[str, object]) -> None:
    standin.behave(mode)
    contact = api.create().json()["payload"]["contact"]
    assert {key: contact[key] for key in ("id", "identifier") if key in contact} == expected
    assert standin.contacts()[0].identifier == "u-1"
    assert api.create().status_code == 422, "an error goes out as it is"
    if mode in ("string_id", "no_id_200"):
        assert api.search("u-1").json()["payload"][0].get("id") == expected.get("id")


@pytest.mark.parametrize("shape", ["garbage", "cut"])
def test_bad_gzip(api: Api, standin: StandIn, shape: str) -> None:
    standin.behave("bad_gzip", shape=shape)
    with pytest.raises((ContentDecodingError, ValueError)):
        api.create().json()
    assert len(standin.ledger()) == 1


def test_bad_content_length(api: Api, standin: StandIn) -> None:
    standin.behave("bad_content_length", times=1)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        api.create().json()
    for length in ("-1", "many", "99999"):
        standin.behave("bad_content_length", times=1, length=length)
        with connect(standin) as raw:
            raw.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert f"Content-Length: {length}\r\n".encode() in b"".join(iter(lambda: raw.recv(65536), b""))
    assert api.create().status_code == 422


# The menu: what is stored, shown or found


def test_identifier_not_stored_makes_duplicates(api: Api, standin: StandIn) -> None:
    standin.behave("identifier_not_stored")
    assert [api.create(email=None).json()["payload"]["contact"]["identifier"] for _ in range(2)] == [None, None]
    assert [entry.identifier for entry in standin.ledger()] == ["u-1", "u-1"]
    assert standin.stats().duplicates == 1


def test_identifier_not_unique_makes_duplicates_with_their_identifier(api: Api, standin: StandIn) -> None:
    standin.behave("identifier_not_unique")
    assert [api.create(email=None).json()["payload"]["contact"]["identifier"] for _ in range(2)] == ["u-1", "u-1"]
    assert api.create(identifier="u-2", email="ada@example.com").status_code == 200
    assert api.create(identifier="u-2", email="ada@example.com").json()["attributes"] == ["email"]
    assert standin.stats().duplicates == 1


def test_q_ignored(api: Api, standin: StandIn) -> None:
    standin.add_contact(identifier="somebody else")
    standin.behave("q_ignored")
    assert api.found("u-1") == ["somebody else"]


@pytest.mark.parametrize("identifier", [None, "u-1"])
def test_invisible(api: Api, standin: StandIn, identifier: str | None) -> None:
    standin.add_contact(identifier="u-10")
    standin.behave("invisible", identifier=identifier)
    api.create()
    assert api.found("u-1") == ([] if identifier is None else ["u-10"])
    assert api.create().status_code == 422


def test_crm_v2_hides_contacts_with_only_an_identifier(api: Api, standin: StandIn) -> None:
    standin.behave("crm_v2")
    api.create(email=None)
    assert api.found("u-1") == []
    api.update(1, phone_number="+12")
    assert api.found("u-1") == ["u-1"]


def test_search_lag(api: Api, standin: StandIn) -> None:
    standin.behave("search_lag", delay=0.3)
    began = time.monotonic()
    api.create()
    assert api.found("u-1") == [] or time.monotonic() - began > 0.3
    created = time.monotonic()
    while not api.found("u-1"):
        assert time.monotonic() - created < 5
    assert time.monotonic() - began > 0.3


def test_endless_pages(api: Api, standin: StandIn) -> None:
    api.create()
    standin.behave("endless_pages")
    for page in (1, 2, 1000):
        found = api.found("u-1", page=page)
        assert (len(found), "u-1" in found, all("u-1" in identifier for identifier in found)) == (15, False, True)
    assert api.call("GET", auth=None).status_code == 401


def test_index_race_500(api: Api, standin: StandIn) -> None:
    api.create()
    standin.behave("index_race_500")
    assert api.create().json() == {"status": 500, "error": "Internal Server Error"}
    mixed = api.create(phone_number="no")
    assert (mixed.status_code, mixed.json()["attributes"]) == (422, ["phone_number"])
    assert api.create(identifier="u-2", email=None).status_code == 200


@pytest.mark.parametrize("language", ["zh", "de"])
def test_localised(api: Api, standin: StandIn, language: str) -> None:
    api.create()
    standin.behave("localised", language=language)
    body = api.create().json()
    assert body["attributes"] == ["email", "identifier"]
    assert "taken" not in body["message"]


# Rules


def test_rules_select_and_the_first_wins(api: Api, standin: StandIn) -> None:
    standin.behave("status", status=418, on="search")
    standin.behave("status", status=503, identifier="u-2")
    standin.behave("status", status=500, on="create")
    assert api.create().status_code == 500
    assert api.create(identifier="u-2").status_code == 503
    assert (api.search("u-2").status_code, api.call("GET").status_code) == (418, 418)
    contact = standin.add_contact(identifier="u-2")
    assert (api.update(contact.id, name="by id").status_code, api.update(99).status_code) == (503, 404)
    assert [rule["mode"] for rule in standin.rules()] == ["status"] * 3
    standin.clear()
    assert (standin.rules(), api.create().status_code) == ([], 200)
    assert standin.stats().misbehaved == {"status": 5}


def test_times_counts_down_atomically(standin: StandIn) -> None:
    def create(number: int) -> int:
        person = {"identifier": f"u-{number}"}
        return requests.post(standin.contacts_url, json=person, auth=AUTH, timeout=5).status_code

    standin.behave("status_500", times=7)
    assert standin.rules()[0]["left"] == 7
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(24)))
    assert (statuses.count(500), statuses.count(200)) == (7, 17)
    assert standin.rules() == []


def test_share_is_repeatable(api: Api, standin: StandIn) -> None:
    runs = []
    for _ in range(2):
        standin.behave("status_500", share=0.5, seed=3)
        runs.append([api.search("x").status_code for _ in range(30)])
        standin.clear()
    assert runs[0] == runs[1]
    assert 5 < runs[0].count(500) < 25


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"mode": "nonsense"}, "mode must be one of: attributes_not_merged, "),
        ({"mode": "hang", "delai": 1}, "There is no option 'delai'."),
        ({"mode": "hang", "delay": "1"}, "delay has the wrong type."),
        ({"mode": "hang", "times": True}, "times has the wrong type."),
        ({"mode": "hang", "times": 0}, "times must be from 1 to"),
        ({"mode": "hang", "share": 2}, "share must be from 0 to 1."),
        ({"mode": "hang", "delay": float("nan")}, "delay must be from"),
        ({"mode": "status", "status": 100}, "status must be from 200 to 599."),
        ({"mode": "hang", "on": "list"}, "on must be one of: create, search, update, read, delete, any."),
        ({"mode": "unauthorized", "shape": "round"}, "shape must be one of: error_text, "),
        ({"mode": "wrong_types_200", "shape": "html"}, "shape must be one of: id_list, "),
        ({"mode": "localised", "language": "tlh"}, "language must be one of"),
    ],
)
def test_bad_rules_are_refused_in_a_sentence(standin: StandIn, rule: dict[str, Any], complaint: str) -> None:
    with pytest.raises(StandInError, match=re.escape(complaint)):
        standin.behave(**rule)
    assert standin.rules() == []


def test_the_menu_is_documented() -> None:
    menu = livedesk.__doc__ or ""
    assert [name for name in (*MODES, *WRONG, *ERROR_SHAPES, "cut") if f"``{name}``" not in menu] == []
    assert all(mode.act.__doc__ for mode in MODES.values())


# Control


def test_contacts_can_be_inserted_even_twice(standin: StandIn, api: Api) -> None:
    standin.add_contact(identifier="twin")
    with pytest.raises(StandInError, match="Identifier has already been taken"):
        standin.add_contact(identifier="twin")
    standin.add_contact(identifier="twin", unchecked=True)
    assert len(standin.contacts("twin")) == len(api.found("twin")) == 2
    assert standin.ledger() == [], "only what came over the API is in the ledger"
    assert standin.delete_contact(1).identifier == "twin"
    with pytest.raises(StandInError, match="no such contact"):
        standin.merge(1, 2)


def test_reset_forgets_everything_and_drops_delayed_requests(standin: StandIn, api: Api) -> None:
    standin.set_credentials("a", "b")
    standin.behave("hang_then_commit", delay=60, times=1)
    standin.behave("status_500")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(requests.post, standin.contacts_url, json=PERSON, auth=("a", "b"), timeout=3)
        while standin.stats().in_flight == 0:
            time.sleep(0.005)
        standin.reset()
        assert isinstance(held.exception(), NoConnection)
    assert (standin.contacts(), standin.rules(), standin.requests(None)) == ([], [], [])
    assert api.create().json()["payload"]["contact"]["id"] == 1


def test_bad_control_requests_are_reported(standin: StandIn) -> None:
    url = f"{standin.url}/_control/"
    assert requests.get(f"{url}nonsense", timeout=3).status_code == 404
    for body in (b"{", b"[]", b"[" * 100_000, b'{"api_key": 1}'):
        response = requests.post(f"{url}credentials", data=body, timeout=3)
        assert (response.status_code, list(response.json())) == (400, ["error"])


def test_a_ledger_can_be_limited() -> None:
    with serve(ledger_limit=0) as standin, requests.Session() as session:
        api = Api(standin, session)
        assert [api.create().status_code, api.create().status_code] == [200, 422]
        assert (standin.ledger(), standin.requests()) == ([], [])
        stats = standin.stats()
        assert (stats.executed, stats.received, stats.answered) == (1, {"create": 2}, {"200": 1, "422": 1})


# Whatever it gets


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\r\n\r\n", b""),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"BREW /x HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET /x HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET http://[ HTTP/1.1\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /\xff?q=\xff%ff HTTP/1.1\r\nConnection: close\r\n\r\n", b"404"),
        (b"POST /x HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n", b"400"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"413"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 50\r\n\r\nshort", b""),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", b""),
    ],
)
def test_hostile_bytes_do_not_hurt(standin: StandIn, api: Api, raw: bytes, status: bytes) -> None:
    with connect(standin) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionResetError:
            assert status in (b"413", b"414", b"431"), "closed with bytes of ours unread"
        assert not answer or answer.split(b" ")[1] == status
    assert api.create().status_code == 200


@pytest.mark.parametrize("mode", sorted(MODES))
def test_every_mode_survives_every_kind_of_request(mode: str) -> None:
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "", {"json": PERSON}),
        ("POST", "", {"json": PERSON, "auth": None}),
        ("GET", "", {"params": {"q": "u"}}),
        ("HEAD", "", {}),
        ("PATCH", "/1", {"json": {"name": "N"}}),
        ("PATCH", "/99", {"data": b"{"}),
        ("GET", "/1", {}),
        ("DELETE", "/1", {}),
        ("POST", "/elsewhere", {}),
    ]
    with serve(by_id=True) as standin, requests.Session() as session:
        api = Api(standin, session)
        standin.behave(mode, on="any", delay=0, size=100, depth=10)
        for method, tail, options in calls:
            try:
                assert api.call(method, tail, **options).status_code >= 200
            except requests.RequestException:
                continue
        assert (standin.stats().faults, set(standin.stats().misbehaved)) == (0, {mode})


# On its own


def run(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.livedesk", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal(number: signal.Signals) -> None:
    with run("--port", "0", "--inbox-id", "407", "--inbox-id", "408", "--api-key", "k", "--api-secret", "s") as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        standin = StandIn(ready.rsplit(" ", 1)[1].strip())
        person = PERSON | {"inbox_id": "408"}
        assert requests.post(standin.contacts_url, json=person, auth=("k", "s"), timeout=3).status_code == 200
        standin.behave("hang")
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(requests.get, standin.contacts_url, timeout=3)
            while standin.stats().in_flight == 0:
                time.sleep(0.005)
            process.send_signal(number)
            out, err = process.communicate(timeout=3)
            assert isinstance(held.exception(), NoConnection)
    assert (process.returncode, out) == (0, "")
    assert re.fullmatch(r"1 create 200 \d+ ms\n2 search no answer \d+ ms \(hang\)\n", err) or err.count("\n") == 1


def test_a_taken_port_is_one_sentence(standin: StandIn) -> None:
    port = str(urlsplit(standin.url).port)
    with run("--port", port) as process:
        out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (1, "")
    assert err == f"Port {port} on 127.0.0.1 is taken; choose another one with --port.\n"


def test_the_ledger_is_json_all_the_way(standin: StandIn, api: Api) -> None:
    api.create()
    raw = requests.get(f"{standin.url}/_control/requests?kind=create", timeout=3).json()
    assert json.loads(json.dumps(raw))[0]["identifier"] == "u-1"
