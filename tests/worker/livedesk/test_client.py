"""The LiveDesk client over real HTTP, with the stand-in and worse servers."""

import http.client
import json
import socketserver
import ssl
import threading
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.livedesk import StandIn, serve
from tests.rig.processes import free_port
from worker.causes import Fault
from worker.errors import AnswerUnknown, Inconclusive, LiveDeskError, Misconfigured, NotSent, Rejected, Throttled
from worker.livedesk.answers import Created, Deletion, Person
from worker.livedesk.bodies import MAX_ANSWER_BYTES
from worker.livedesk.client import LiveDesk
from worker.livedesk.search import MAX_PAGES
from worker.model import Contact, Note, NoteCode, Signal

KEY, SECRET = "demo-key", "demo-secret"
ADA = Contact("ada", 1, "Ada", "ada@example.com", "+4915112345678", "https://example.com/ada.png")
PATIENCE_S = 0.8


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve() as standin:
        yield standin


@pytest.fixture
def standin(running: StandIn) -> StandIn:
    running.reset()
    return running


@pytest.fixture
def livedesk(standin: StandIn) -> LiveDesk:
    return client_of(standin.url)


def client_of(url: str, **options: Any) -> LiveDesk:
    return LiveDesk(url, KEY, SECRET, **{"timeout_s": PATIENCE_S, **options})


def refusal_of(call: Callable[[], object]) -> LiveDeskError:
    """The error that the call ends with, which never holds the credentials."""
    with pytest.raises(LiveDeskError) as caught:
        call()
    told = "".join(traceback.format_exception(caught.value)) + caught.value.excerpt
    assert SECRET not in told
    assert b64encode(f"{KEY}:{SECRET}".encode()).decode() not in told
    return caught.value


# What an answer to a create counts as (livedesk-api 3.3)

#: mode and options, what it counts as, the cause.
CREATES: list[tuple[str, dict[str, Any], type[LiveDeskError], str]] = [
    ("commit_then_hang", {}, AnswerUnknown, "answer_timeout"),
    ("hang", {}, AnswerUnknown, "answer_timeout"),
    ("commit_then_reset", {}, AnswerUnknown, "connection_lost"),
    ("commit_then_close", {}, AnswerUnknown, "connection_lost"),
    ("reset", {}, AnswerUnknown, "connection_lost"),
    ("close", {}, AnswerUnknown, "connection_lost"),
    ("garbage", {}, AnswerUnknown, "unreadable_answer"),
    ("commit_then_500", {}, AnswerUnknown, "http_500"),
    ("status_500", {}, AnswerUnknown, "http_500"),
    ("html_502", {}, AnswerUnknown, "http_502"),
    ("html_503", {"retry_after": 5}, AnswerUnknown, "http_503"),
    ("status_504", {}, AnswerUnknown, "http_504"),
    ("status", {"status": 520}, AnswerUnknown, "http_520"),
    ("status", {"status": 408}, AnswerUnknown, "http_408"),
    ("commit_then_truncate", {}, AnswerUnknown, "unreadable_answer"),
    ("bad_content_length", {}, AnswerUnknown, "unreadable_answer"),
    ("bad_content_length", {"length": "100000"}, AnswerUnknown, "unreadable_answer"),
    ("bad_gzip", {}, AnswerUnknown, "unreadable_answer"),
    ("bad_gzip", {"shape": "cut"}, AnswerUnknown, "unreadable_answer"),
    ("html_200", {}, AnswerUnknown, "unreadable_answer"),
    ("empty_200", {}, AnswerUnknown, "unreadable_answer"),
    ("huge_200", {}, AnswerUnknown, "unreadable_answer"),
    ("huge_200", {"size": MAX_ANSWER_BYTES + 1}, AnswerUnknown, "unreadable_answer"),
    ("deep_json_200", {}, AnswerUnknown, "unreadable_answer"),
    ("no_id_200", {}, AnswerUnknown, "unreadable_answer"),
    *[
        ("wrong_types_200", {"shape": shape}, AnswerUnknown, "unreadable_answer")
        for shape in (
            *("id_list", "id_true", "id_object", "id_negative", "id_fraction", "id_words"),
            *("contact_text", "contact_null", "payload_text", "payload_null", "payload_number", "payload_texts"),
            *("top_text", "top_list", "top_null", "top_number"),
        )
    ],
    ("other_identifier_echo", {}, AnswerUnknown, "answer_for_another_contact"),
    ("throttle", {}, Throttled, "throttled"),
    ("unauthorized", {}, Misconfigured, "unauthorized"),
    ("forbidden", {}, Misconfigured, "forbidden"),
    ("status", {"status": 407}, Misconfigured, "proxy_refused"),
    ("not_found", {}, Misconfigured, "inbox_not_found"),
    ("not_found", {"shape": "html"}, Misconfigured, "create_path_not_found"),
    ("method_not_allowed", {}, Misconfigured, "create_path_not_found"),
    *[("redirect", {"status": status}, Misconfigured, "redirected") for status in (301, 302, 303, 307, 308)],
    *[("status", {"status": status}, Rejected, f"http_{status}") for status in (400, 413, 415, 422)],
]


@pytest.mark.parametrize(("mode", "options", "kind", "cause"), CREATES)
def test_what_an_answer_to_a_create_counts_as(
    mode: str, options: dict[str, Any], kind: type[LiveDeskError], cause: str, standin: StandIn, livedesk: LiveDesk
) -> None:
    standin.behave(mode, **options)
    error = refusal_of(lambda: livedesk.create(ADA))
    assert (type(error), error.cause.slug) == (kind, cause)
    assert [request.kind for request in standin.requests(None)] == ["create"], "nothing is repeated, nothing followed"


def test_a_contact_that_is_created_has_its_id(standin: StandIn, livedesk: LiveDesk) -> None:
    made = livedesk.create(ADA)
    assert made == Created(str(standin.contacts("ada")[0].id), 200)


def test_ids_may_be_texts_of_digits(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave("string_id")
    made = livedesk.create(ADA)
    assert made.contact_id == str(standin.contacts("ada")[0].id)
    assert [person.id for person in livedesk.look_up("ada")] == [made.contact_id]


def test_an_answer_without_the_identifier_is_good_enough_and_noted(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave("null_identifier_echo")
    assert livedesk.create(ADA).notes == (
        Note("identifier", "LiveDesk did not repeat it in its answer", NoteCode.DIFFERS),
    )


def test_a_contact_that_cannot_be_read_is_no_contact(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave("html_200")
    assert refusal_of(lambda: livedesk.read("1")).cause.slug == "unreadable_answer"


def test_an_unknown_inbox_is_a_configuration_error(livedesk: LiveDesk) -> None:
    error = refusal_of(lambda: livedesk.create(Contact("ada", 999)))
    assert (type(error), error.cause.slug, error.status) == (Misconfigured, "inbox_not_found", 404)


@pytest.mark.parametrize(
    ("channel", "fields", "cause"),
    [
        ("Channel::Email", {"email": None}, "inbox_needs_value"),
        ("Channel::Whatsapp", {"phone_number": None}, "inbox_needs_value"),
        ("Channel::Sms", {"phone_number": None}, "inbox_needs_value"),
        ("Channel::TwilioSms", {"phone_number": None}, "inbox_needs_value"),
        ("Channel::Whatsapp", {"phone_number": "tel:+4915112345678"}, "inbox_refuses_source"),
    ],
)
def test_an_inbox_that_needs_a_value_is_our_mistake_not_the_contacts(
    channel: str, fields: dict[str, Any], cause: str, standin: StandIn, livedesk: LiveDesk
) -> None:
    """Chatwoot v4.10.0, ``contact_inbox_builder.rb``: see ``tests/livedesk/inbox.py``."""
    standin.set_inbox(7, channel)
    error = refusal_of(lambda: livedesk.create(structs.replace(ADA, inbox_id=7, **fields)))
    assert (type(error), error.cause.slug, error.status) == (Misconfigured, cause, 422)
    assert (error.cause.fault, error.cause.signal) == (Fault.OURS, Signal.INBOX)
    assert standin.contacts() == []


@pytest.mark.parametrize("language", ["en", "zh", "de"])
@pytest.mark.parametrize(
    ("there", "fields"),
    [
        ({"identifier": "ada"}, {"identifier"}),
        ({"email": "ADA@example.com"}, {"email"}),
        ({"phone_number": "+4915112345678"}, {"phone_number"}),
        ({"identifier": "ada", "email": "ada@example.com"}, {"identifier", "email"}),
    ],
)
def test_a_taken_value_is_recognised_in_every_language(
    there: dict[str, Any], fields: set[str], language: str, standin: StandIn, livedesk: LiveDesk
) -> None:
    standin.add_contact(**there)
    standin.behave("localised", language=language)
    error = refusal_of(lambda: livedesk.create(ADA))
    assert isinstance(error, Rejected)
    assert error.fields == fields
    assert {"en": "taken", "zh": "已经被使用", "de": "vergeben"}[language] in error.excerpt


@pytest.mark.parametrize(
    ("contact", "field"),
    [
        (Contact("ada", 1, phone_number="123"), "phone_number"),
        (Contact("ada", 1, email="at"), "email"),
        (Contact("ada", 1, name="x" * 256), "name"),
    ],
)
def test_an_invalid_value_is_reported_like_a_taken_one(contact: Contact, field: str, livedesk: LiveDesk) -> None:
    error = refusal_of(lambda: livedesk.create(contact))
    assert isinstance(error, Rejected)
    assert error.fields == {field}


@pytest.mark.parametrize(
    ("shape", "excerpt"),
    [
        ("error_text", "Invalid Access Token"),
        ("suspended", "Account is suspended"),
        ("errors_list", "You need to sign in or sign up before continuing."),
        ("error_object", "Unauthorized"),
        ("code_message", "Unauthorized"),
        ("message_attributes", "Unauthorized"),
        ("rails", "Unauthorized"),
        ("text", "Unauthorized"),
        (
            "html",
            "<html> <head><title>401 Unauthorized</title></head> <body> <center><h1>401 Unauthorized</h1></center>",
        ),
        ("empty", ""),
    ],
)
def test_a_person_can_read_an_error_of_any_shape(
    shape: str, excerpt: str, standin: StandIn, livedesk: LiveDesk
) -> None:
    standin.behave("unauthorized", shape=shape)
    error = refusal_of(lambda: livedesk.create(ADA))
    assert error.excerpt.startswith(excerpt)
    assert error.excerpt if excerpt else not error.excerpt
    assert len(error.excerpt) <= 200


def test_an_excerpt_is_short_however_much_is_said(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave("status", status=500, body=json.dumps({"message": "word " * 1000}))
    assert len(refusal_of(lambda: livedesk.create(ADA)).excerpt) == 200


def test_only_fields_that_we_send_are_reported_as_refused(standin: StandIn, livedesk: LiveDesk) -> None:
    body = json.dumps({"message": "no", "attributes": ["email", "company", "__class__"]})
    standin.behave("status", status=422, body=body)
    error = refusal_of(lambda: livedesk.create(ADA))
    assert isinstance(error, Rejected)
    assert error.fields == {"email"}


@pytest.mark.parametrize("mode", ["bad_content_length", "bad_gzip", "commit_then_truncate"])
def test_a_refusal_that_is_cut_short_does_not_say_what_was_refused(
    mode: str, standin: StandIn, livedesk: LiveDesk
) -> None:
    """Read as a refusal of the whole contact, it would fail a contact for an address."""
    standin.add_contact(email=ADA.email)
    standin.behave(mode)
    error = refusal_of(lambda: livedesk.create(ADA))
    assert (type(error), error.cause.slug, error.status) == (AnswerUnknown, "unreadable_answer", 422)


def test_an_excerpt_holds_nothing_that_a_terminal_or_a_log_would_obey(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave("status", status=500, body=json.dumps({"message": "no\r\nforged line \x1b[31m \u202e \u2028 end"}))
    assert refusal_of(lambda: livedesk.create(ADA)).excerpt == "no forged line [31m end"


# Retry-After (RFC 9110 section 10.2.3)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, None),
        ({"retry_after": 7}, 7),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "999999999"}, 999_999_999),
        ({"retry_after": "9" * 400}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "1.5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "Fri, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"retry_after": "Sun, 22 Nov 2026 23:59:59 -0000"}, None),
        ({"retry_after": formatdate(0, usegmt=True)}, 0),
    ],
)
def test_retry_after_is_seconds_or_nothing(
    said: dict[str, Any], seconds: float | None, standin: StandIn, livedesk: LiveDesk
) -> None:
    standin.behave("throttle", **said)
    error = refusal_of(lambda: livedesk.create(ADA))
    assert isinstance(error, Throttled)
    assert error.retry_after == seconds


def test_retry_after_may_be_a_date_and_counts_from_the_date_of_the_answer(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave("throttle", retry_after=90, as_date=True)
    error = refusal_of(lambda: livedesk.create(ADA))
    assert isinstance(error, Throttled)
    assert error.retry_after in (90, 91)


# Looking up


@pytest.mark.parametrize(
    ("mode", "options", "kind", "cause"),
    [
        ("hang", {}, AnswerUnknown, "answer_timeout"),
        ("reset", {}, AnswerUnknown, "connection_lost"),
        ("html_502", {}, AnswerUnknown, "http_502"),
        ("commit_then_truncate", {}, AnswerUnknown, "unreadable_answer"),
        ("html_200", {}, AnswerUnknown, "unreadable_answer"),
        ("empty_200", {}, AnswerUnknown, "unreadable_answer"),
        ("deep_json_200", {}, AnswerUnknown, "unreadable_answer"),
        ("wrong_types_200", {"shape": "payload_text"}, AnswerUnknown, "unreadable_answer"),
        ("wrong_types_200", {"shape": "payload_texts"}, AnswerUnknown, "unreadable_answer"),
        ("wrong_types_200", {"shape": "contact_null"}, AnswerUnknown, "unreadable_answer"),
        ("wrong_types_200", {"shape": "top_list"}, AnswerUnknown, "unreadable_answer"),
        ("throttle", {}, Throttled, "throttled"),
        ("unauthorized", {}, Misconfigured, "unauthorized"),
        ("not_found", {}, Misconfigured, "search_path_not_found"),
        ("method_not_allowed", {}, Misconfigured, "search_path_not_found"),
        ("redirect", {}, Misconfigured, "redirected"),
        ("status", {"status": 422}, Inconclusive, "search_refused"),
        ("q_ignored", {}, Inconclusive, "search_ignored_query"),
        ("endless_pages", {}, Inconclusive, "search_too_many_results"),
    ],
)
def test_a_search_that_went_wrong_never_counts_as_absent(
    mode: str, options: dict[str, Any], kind: type[LiveDeskError], cause: str, standin: StandIn, livedesk: LiveDesk
) -> None:
    """Not even for somebody who is not there: only a sound answer can tell that."""
    standin.add_contact(identifier="ada")
    standin.add_contact(identifier="carol")
    standin.behave(mode, on="search", **options)
    error = refusal_of(lambda: livedesk.look_up("bob"))
    assert (type(error), error.cause.slug) == (kind, cause)
    assert all(request.kind == "search" for request in standin.requests(None))


@pytest.mark.parametrize(("mode", "options"), [("no_id_200", {}), ("wrong_types_200", {"shape": "id_words"})])
def test_a_contact_that_cannot_be_read_may_be_the_one_that_is_looked_for(
    mode: str, options: dict[str, Any], standin: StandIn, livedesk: LiveDesk
) -> None:
    standin.add_contact(identifier="ada")
    standin.behave(mode, **options)
    error = refusal_of(lambda: livedesk.look_up("ada"))
    assert (type(error), error.cause.slug) == (AnswerUnknown, "unreadable_answer")


def test_meta_is_not_looked_at(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.add_contact(identifier="ada")
    standin.behave("wrong_types_200", shape="meta_null")
    assert len(livedesk.look_up("ada")) == 1


def test_without_contacts_none_is_found(livedesk: LiveDesk) -> None:
    assert livedesk.look_up("ada") == []


def test_a_contact_is_found_as_livedesk_shows_it(standin: StandIn, livedesk: LiveDesk) -> None:
    made = standin.add_contact(identifier="ada", name="Ada", email="ada@example.com", phone_number="+4915112345678")
    assert livedesk.look_up("ada") == [Person(str(made.id), "ada", "Ada", "ada@example.com", "+4915112345678")]


@pytest.mark.parametrize(
    ("identifier", "lookalikes"),
    [
        ("a_b", ["aXb", "a_b_", "a%b"]),
        ("50%", ["50", "50%%", "500"]),
        ("%", ["x", "%%"]),
        ("_", ["x", "__"]),
        ("a+b", ["a b", "aab", "a+b+"]),
        ("a b", ["a+b", "ab"]),
        ("a&q=x#y?z", ["a"]),
        ("a%2Bb", ["a+b"]),
        ("Ada", ["ada", "ADA", "Adas"]),
        ("müller@例え.jp", ["muller@例え.jp", "MÜLLER@例え.jp"]),
        (r"corp\ada", ["corp/ada", "corpada", r"corp\bob", "corp", "ada"]),
        ("\\a\\longest_%piece\\", ["longest_%piece", "\\a\\longestX%piece\\"]),
        ("12", ["1", "2", "112", "123"]),
        ("' OR 1=1 --", ["OR"]),
    ],
)
def test_an_identifier_is_found_exactly(
    identifier: str, lookalikes: list[str], standin: StandIn, livedesk: LiveDesk
) -> None:
    for other in lookalikes:
        standin.add_contact(identifier=other)
    assert livedesk.look_up(identifier) == [], "those who merely look alike"
    made = standin.add_contact(identifier=identifier)
    assert [person.id for person in livedesk.look_up(identifier)] == [str(made.id)]


def test_somebody_whose_name_or_address_is_the_identifier_is_not_found(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.add_contact(name="ada@example.com", identifier="bob")
    standin.add_contact(email="ada@example.com")
    assert livedesk.look_up("ada@example.com") == []


def test_before_each_further_page_the_caller_has_its_say(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave("endless_pages")
    asked: list[int] = []
    with pytest.raises(Inconclusive):
        livedesk.look_up("user-42", lambda: asked.append(len(standin.requests("search"))))
    assert asked == list(range(1, MAX_PAGES))


def test_pages_are_read_until_the_contact_is_found(standin: StandIn, livedesk: LiveDesk) -> None:
    made = standin.add_contact(identifier="ada", created_at=1000)
    for number in range(34):
        standin.add_contact(identifier=f"ada-{number}", created_at=2000 + number)
    assert [person.id for person in livedesk.look_up("ada")] == [str(made.id)]
    assert len(standin.requests("search")) == 3


def test_a_full_last_page_is_followed_by_a_look_at_the_next(standin: StandIn, livedesk: LiveDesk) -> None:
    for number in range(15):
        standin.add_contact(identifier=f"ada-{number}")
    assert livedesk.look_up("ada") == []
    assert len(standin.requests("search")) == 2


def test_reading_stops_somewhere(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave("endless_pages")
    assert refusal_of(lambda: livedesk.look_up("ada")).cause.slug == "search_too_many_results"
    assert len(standin.requests("search")) == MAX_PAGES


def test_two_contacts_with_one_identifier_are_both_returned(standin: StandIn, livedesk: LiveDesk) -> None:
    made = [standin.add_contact(identifier="ada", unchecked=True) for _ in range(2)]
    assert {person.id for person in livedesk.look_up("ada")} == {str(contact.id) for contact in made}


def test_the_owner_of_an_address_is_found_in_any_case_but_exactly(standin: StandIn, livedesk: LiveDesk) -> None:
    owner = standin.add_contact(email="ada@example.com", identifier="x")
    standin.add_contact(email="ada@example.com.au")
    standin.add_contact(identifier="ada@example.com")
    assert livedesk.find_owners("email", "Ada@Example.com") == [Person(str(owner.id), "x", None, "ada@example.com")]


def test_the_owner_of_a_phone_number_is_found(standin: StandIn, livedesk: LiveDesk) -> None:
    owner = standin.add_contact(phone_number="+4915112345678")
    standin.add_contact(phone_number="+49151123456789")
    assert [person.id for person in livedesk.find_owners("phone_number", "+4915112345678")] == [str(owner.id)]


# Giving a contact its identifier


def test_a_contact_is_given_its_identifier(standin: StandIn, livedesk: LiveDesk) -> None:
    made = standin.add_contact(email="ada@example.com")
    assert livedesk.set_identifier(str(made.id), "ada") == 200
    assert [contact.id for contact in standin.contacts("ada")] == [made.id]


def test_a_contact_that_is_gone_cannot_be_given_one(livedesk: LiveDesk) -> None:
    error = refusal_of(lambda: livedesk.set_identifier("4711", "ada"))
    assert (type(error), error.cause.slug, error.status) == (Rejected, "contact_gone", 404)


def test_an_identifier_that_is_taken_cannot_be_given(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.add_contact(identifier="ada")
    made = standin.add_contact(email="ada@example.com")
    error = refusal_of(lambda: livedesk.set_identifier(str(made.id), "ada"))
    assert isinstance(error, Rejected)
    assert error.fields == {"identifier"}


@pytest.mark.parametrize(
    ("mode", "kind"), [("html_502", AnswerUnknown), ("unauthorized", Misconfigured), ("throttle", Throttled)]
)
def test_an_update_can_fail_like_a_create(
    mode: str, kind: type[LiveDeskError], standin: StandIn, livedesk: LiveDesk
) -> None:
    made = standin.add_contact(email="ada@example.com")
    standin.behave(mode, on="update")
    assert type(refusal_of(lambda: livedesk.set_identifier(str(made.id), "ada"))) is kind


# Servers that the stand-in cannot be: what is sent to them, byte for byte, and whatever they answer


@dataclass
class Received:
    target: str
    headers: Message
    body: bytes


class RawServer(socketserver.TCPServer):
    """Answers every request with the same bytes and hangs up; keeps what it was sent."""

    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RawHandler)
        self.answer = b""
        self.received: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class RawHandler(socketserver.StreamRequestHandler):
    server: RawServer

    def handle(self) -> None:
        target = self.rfile.readline().decode().split()[1]
        headers = http.client.parse_headers(self.rfile)
        body = self.rfile.read(int(headers.get("Content-Length", 0)))
        self.server.received.append(Received(target, headers, body))
        self.wfile.write(self.server.answer)


@contextmanager
def listening(server: RawServer) -> Iterator[RawServer]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        with server:
            yield server
            server.shutdown()
    finally:
        thread.join()


@pytest.fixture(scope="module")
def raw() -> Iterator[RawServer]:
    with listening(RawServer()) as server:
        yield server


@pytest.fixture
def server(raw: RawServer) -> RawServer:
    raw.received.clear()
    return raw


def answer(status: int, body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d Whatever" % status, b"Connection: close", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


NOBODY = answer(200, b'{"payload": []}')
MADE_BODY = b'{"payload": {"contact": {"id": 7, "identifier": "ada"}}}'
MADE = answer(200, MADE_BODY)


def test_a_create_sends_json_with_the_inbox_as_a_number_and_nothing_empty(server: RawServer) -> None:
    server.answer = MADE
    client_of(server.url).create(Contact("ada", 407, email="ada@example.com"))
    sent = server.received[0]
    assert json.loads(sent.body) == {"identifier": "ada", "inbox_id": 407, "email": "ada@example.com"}
    assert sent.target == "/api/v2/accounts/contacts"
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["Authorization"] == "Basic " + b64encode(f"{KEY}:{SECRET}".encode()).decode()


def test_a_slash_at_the_end_of_the_address_makes_no_difference(server: RawServer) -> None:
    server.answer = MADE
    client_of(server.url + "/").create(ADA)
    assert server.received[0].target == "/api/v2/accounts/contacts"


def test_a_search_escapes_what_means_something_in_a_query(server: RawServer) -> None:
    server.answer = NOBODY
    client_of(server.url).look_up("+49 &=#%/ü")
    query = server.received[0].target.partition("?")[2].split("&")
    assert "q=%2B49+%26%3D%23%25%2F%C3%BC" in query
    assert {"include_contact_inboxes=false", "sort=created_at", "direction=desc", "page=1"} <= set(query)


def test_an_answer_is_read_up_to_a_limit(server: RawServer) -> None:
    server.answer = answer(200, MADE_BODY.ljust(MAX_ANSWER_BYTES))
    assert client_of(server.url).create(ADA).contact_id == "7"
    server.answer = answer(200, MADE_BODY.ljust(MAX_ANSWER_BYTES + 1))
    assert refusal_of(lambda: client_of(server.url).create(ADA)).cause.slug == "unreadable_answer"


def test_cookies_are_never_sent_back(server: RawServer) -> None:
    server.answer = MADE.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=1; Path=/\r\n\r\n")
    livedesk = client_of(server.url)
    livedesk.create(ADA)
    livedesk.create(ADA)
    assert [request.headers["Cookie"] for request in server.received] == [None, None]


def test_the_environment_and_netrc_are_not_consulted(
    server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login mallory password wrong\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.answer = MADE
    assert client_of(server.url).create(ADA).contact_id == "7"
    assert server.received[0].headers["Authorization"] == "Basic " + b64encode(f"{KEY}:{SECRET}".encode()).decode()


def test_a_proxy_that_is_passed_in_is_used(server: RawServer) -> None:
    server.answer = MADE
    client_of("http://livedesk.invalid", proxies={"http": server.url}).create(ADA)
    assert server.received[0].target == "http://livedesk.invalid/api/v2/accounts/contacts"


def test_credentials_beyond_latin_1_are_sent_as_utf_8(server: RawServer) -> None:
    server.answer = MADE
    LiveDesk(server.url, "kéy“", "sécret🔑", timeout_s=PATIENCE_S).create(ADA)
    assert server.received[0].headers["Authorization"] == "Basic " + b64encode("kéy“:sécret🔑".encode()).decode()


# Servers that are not there


def test_a_closed_port_received_nothing() -> None:
    error = refusal_of(lambda: client_of(f"http://127.0.0.1:{free_port()}").create(ADA))
    assert (type(error), error.cause.slug) == (NotSent, "connect_failed")


def test_an_unknown_host_received_nothing() -> None:
    error = refusal_of(lambda: client_of("http://livedesk.invalid").create(ADA))
    assert (type(error), error.cause.slug) == (NotSent, "name_not_resolved")


@pytest.mark.parametrize(
    "url",
    [
        "http://host:99999",
        "http://two words",
        "http://[::1",
        "http://.example.com",
        "http://a..b",
        "http://" + "a" * 64 + ".example",
        "ftp://example.com",
    ],
)
def test_an_invalid_address_is_a_configuration_error(url: str) -> None:
    error = refusal_of(lambda: client_of(url).create(ADA))
    assert (type(error), error.cause.slug) == (Misconfigured, "address_invalid")


def test_tls_to_a_port_without_it_is_not_an_answer(standin: StandIn) -> None:
    error = refusal_of(lambda: client_of(standin.url.replace("http:", "https:")).create(ADA))
    assert (type(error), error.cause.slug) == (NotSent, "tls_failed")
    assert standin.ledger() == []


#: Signed by itself, so that nobody trusts it; made for this test and used nowhere else.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQudm+noKSoKYWhMV
VB+GUdcpPmRkeBj9X6qScCOGyWihRANCAASAR5uHNQzYxr/oDOXY3PgXhqxW/pdO
YbAA09dgdOS9eqkEXeM3S+RBkV1Q1Z48t/1MJWl5VhlDGx5Q6N9nvfwt
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBjzCCATagAwIBAgIUc7ark0yrE2j+LD7A9yBF92uMRRAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMjIzMzY0NFoYDzIxMjYxMDI5
MjMzNjQ0WjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASAR5uHNQzYxr/oDOXY3PgXhqxW/pdOYbAA09dgdOS9eqkEXeM3S+RB
kV1Q1Z48t/1MJWl5VhlDGx5Q6N9nvfwto2QwYjAdBgNVHQ4EFgQUct18HNNuV79a
8jJub2IsIKNWBoowHwYDVR0jBBgwFoAUct18HNNuV79a8jJub2IsIKNWBoowDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0cAMEQC
IAbVwNvnFt4z4UdlrT3dJdIYlRj5ewVuPdwI9AsKEy2nAiAXXu9I26rDXKZa/jCh
OFN3vhZ1ojul5gZ5IRy8SPDerA==
-----END CERTIFICATE-----
"""


class TlsServer(RawServer):
    def __init__(self, certificate: Path) -> None:
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.answer = MADE


def test_a_server_with_an_untrusted_certificate_receives_nothing(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(CERTIFICATE)
    with listening(TlsServer(certificate)) as server:
        error = refusal_of(lambda: client_of(server.url.replace("http:", "https:")).create(ADA))
    assert (type(error), error.cause.slug) == (NotSent, "certificate_refused")
    assert server.received == []


# Whatever comes

WORDS = ("payload", "contact", "id", "identifier", "message", "error", "errors", "attributes", "meta", "email")
JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["7", "ada", *WORDS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())
HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40).map(str.encode)


@settings(max_examples=120, deadline=None)
@given(
    status=st.sampled_from([200, 201, 204, 404, 422, 429, 500]) | st.integers(101, 999),
    body=JSON_LIKE | st.binary(max_size=300),
    retry_after=HEADER_TEXT,
    date=HEADER_TEXT,
)
@example(status=200, body=b'{"payload": {"contact": {"id": %s}}}' % (b"9" * 5000), retry_after=b"", date=b"")
@example(status=200, body=b'{"payload": [{"id": 1, "identifier": "\\ud800"}]}', retry_after=b"", date=b"")
@example(status=422, body=b'{"message": "\\ud800", "attributes": [[], {}, null, "email"]}', retry_after=b"", date=b"")
@example(status=429, body=b"", retry_after=b"Sun, 31 Dec 9999 23:59:59 GMT", date=b"Mon, 01 Jan 0001 00:00:00 +2359")
def test_whatever_is_answered_is_a_result_or_one_of_our_errors(
    status: int, body: bytes, retry_after: bytes, date: bytes, raw: RawServer
) -> None:
    raw.answer = answer(status, body, b"Retry-After: " + retry_after, b"Date: " + date)
    livedesk = client_of(raw.url)
    calls: list[Callable[[], object]] = [
        lambda: livedesk.create(ADA),
        lambda: livedesk.look_up("ada"),
        lambda: livedesk.set_identifier("7", "ada"),
        lambda: livedesk.delete("7"),
    ]
    for call in calls:
        assert is_expected(call)


@settings(max_examples=80, deadline=None)
@given(raw_answer=st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail))
@example(raw_answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
@example(raw_answer=b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}")
@example(raw_answer=b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
@example(raw_answer=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n")
@example(raw_answer=b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n")
def test_whatever_bytes_come_are_a_result_or_one_of_our_errors(raw_answer: bytes, raw: RawServer) -> None:
    raw.answer = raw_answer
    assert is_expected(lambda: client_of(raw.url).create(ADA))


def is_expected(call: Callable[[], object]) -> bool:
    """Whether the call returns, or raises a LiveDeskError whose excerpt can be stored."""
    try:
        return isinstance(call(), Created | Deletion | list | int)
    except LiveDeskError as error:
        return error.excerpt.encode().decode() == error.excerpt
