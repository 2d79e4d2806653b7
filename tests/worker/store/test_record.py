"""How a record is written down: what is written is read, whatever it is."""

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from worker.model import ATTRIBUTE_FIELDS, Attempt, Contact, Note, NoteCode, OnDelete, State, Work
from worker.store import record
from worker.store.fingerprint import (
    ABSENT,
    CHUNK_BYTES,
    CODES,
    POSITIONAL,
    chunks_of,
    differing_fields,
    differing_values,
    dump_chunks,
    fingerprint,
    keyed_hash,
    values_of,
)
from worker.store.record import (
    STORED,
    ContactRecord,
    dump_attempt,
    dump_data,
    dump_notes,
    load_attempts,
    load_contact,
    load_notes,
    named,
    names_of,
)

OPTIONAL_TEXT = st.none() | st.text(min_size=1)
CONTACTS = st.builds(
    Contact,
    identifier=st.text(min_size=1),
    inbox_id=st.none() | st.integers(1, 2**31 - 1),
    name=OPTIONAL_TEXT,
    email=OPTIONAL_TEXT,
    phone_number=OPTIONAL_TEXT,
    avatar_url=OPTIONAL_TEXT,
)
ATTRIBUTES = st.none() | st.dictionaries(
    st.from_regex("[a-zA-Z0-9_-]{1,5}", fullmatch=True),
    st.text() | st.integers() | st.booleans(),
    min_size=1,
    max_size=3,
)
WITH_ATTRIBUTES = st.builds(structs.replace, CONTACTS, custom_attributes=ATTRIBUTES, additional_attributes=ATTRIBUTES)
NOTES = st.lists(st.builds(Note, st.sampled_from(POSITIONAL), st.text(), st.sampled_from(NoteCode))).map(tuple)
ATTEMPTS = st.builds(
    Attempt,
    at=st.integers(0, 10**14),
    duration_ms=st.integers(0, 10**7),
    status=st.none() | st.integers(100, 999),
    cause=OPTIONAL_TEXT,
    excerpt=st.text(),
)
SALT = b"salt"


def test_every_field_but_the_identifier_is_data() -> None:
    assert ("identifier", *POSITIONAL, *ATTRIBUTE_FIELDS) == Contact.__struct_fields__


@given(WITH_ATTRIBUTES)
def test_a_contact_is_read_as_it_was_written(contact: Contact) -> None:
    assert load_contact(contact.identifier, dump_data(contact)) == contact


def test_what_is_empty_takes_no_room() -> None:
    assert (
        dump_data(Contact("ada", name="Jürgen", email="j@example.com")) == '{"name":"Jürgen","email":"j@example.com"}'
    )


@given(NOTES)
def test_notes_are_read_as_they_were_written(notes: tuple[Note, ...]) -> None:
    assert load_notes(dump_notes(notes)) == notes


def test_no_notes_take_no_room() -> None:
    assert dump_notes(()) is None
    assert load_notes(None) == ()


@given(st.lists(ATTEMPTS))
@example([Attempt(1, 0)])
@example([Attempt(1, 2, 500, "http_500", "two\nlines"), Attempt(1, 2, None, "x", "\u2028 \x85 \x1c")])
def test_attempts_are_read_as_they_were_written(attempts: list[Attempt]) -> None:
    assert load_attempts("\n".join(map(dump_attempt, attempts))) == attempts


def test_no_attempts_are_an_empty_list() -> None:
    assert load_attempts(None) == []


@pytest.mark.parametrize("changed", [("name",), ("email", "phone_number", "avatar_url"), ("custom_attributes.plan",)])
def test_what_an_update_sent_is_read_as_it_was_written(changed: tuple[str, ...]) -> None:
    attempt = Attempt(1_795_000_000_000, 12, 200, trigger="ada", changed=changed)
    assert load_attempts(dump_attempt(attempt)) == [attempt]


def test_every_field_has_a_letter_of_its_own() -> None:
    assert len(CODES) == len(POSITIONAL)


def test_the_attempt_of_an_update_is_as_short_as_that_of_a_create() -> None:
    assert dump_attempt(Attempt(1_795_000_000_000, 12, 200, changed=("name", "email"))) == '[1795000000000,12,"n e"]'


def test_the_attempt_of_a_created_contact_fits_redis_s_compact_form() -> None:
    assert dump_attempt(Attempt(1_795_000_000_000, 86_400_000, 200)) == "[1795000000000,86400000,200]"


@given(WITH_ATTRIBUTES, WITH_ATTRIBUTES)
def test_fingerprints_differ_where_the_contacts_do(one: Contact, other: Contact) -> None:
    ours, theirs = (json.dumps(values_of(contact)) for contact in (one, other))
    before, after = json.loads(ours), json.loads(theirs)
    different = {name for name in before | after if json.dumps(before.get(name)) != json.dumps(after.get(name))}
    assert set(differing_fields(fingerprint(one, SALT), fingerprint(other, SALT))) == different


@given(WITH_ATTRIBUTES)
def test_the_chunks_of_a_fingerprint_are_read_as_they_were_written(contact: Contact) -> None:
    stored = fingerprint(contact, SALT)
    assert dump_chunks(chunks_of(stored)) == stored
    assert chunks_of(stored).keys() == values_of(contact).keys()


def test_the_fields_that_differ_are_in_the_order_of_a_contact() -> None:
    before = fingerprint(Contact("ada", email="a@example.com", custom_attributes={"plan": "free"}), SALT)
    after = fingerprint(Contact("ada", name="Ada", custom_attributes={"age": 36}), SALT)
    names = ["name", "email", "custom_attributes.age", "custom_attributes.plan"]
    assert differing_fields(before, after) == names


def test_an_attribute_of_another_type_is_another_value() -> None:
    as_text, as_number, as_flag = (
        fingerprint(Contact("ada", custom_attributes={"age": value}), SALT) for value in ("1", 1, True)
    )
    assert len({as_text, as_number, as_flag}) == 3


def test_stored_fingerprints_can_still_be_compared() -> None:
    """Their first 20 characters must never mean anything else."""
    assert POSITIONAL == ("inbox_id", "name", "email", "phone_number", "avatar_url")
    assert fingerprint(Contact("ada", inbox_id=407, email="ada@example.com"), SALT) == "WKYu----a9HN--------"


@given(CONTACTS)
def test_a_fingerprint_is_short_whatever_it_is_of(contact: Contact) -> None:
    assert len(fingerprint(contact, SALT)) == 4 * len(POSITIONAL)


def test_a_fingerprint_reveals_nothing_without_the_salt() -> None:
    ada = Contact("ada", name="Ada")
    assert differing_fields(fingerprint(ada, SALT), fingerprint(ada, b"another")) == ["name"]


def test_the_same_text_in_another_field_is_another_fingerprint() -> None:
    name, email = fingerprint(Contact("ada", name="x"), SALT), fingerprint(Contact("ada", email="x"), SALT)
    assert name.replace("-", "") != email.replace("-", "")


def test_notes_of_older_records_have_no_code() -> None:
    assert load_notes('[["name", "shortened"]]') == (Note("name", "shortened"),)


def test_the_work_of_a_record() -> None:
    signup = ContactRecord("ada", State.PENDING, "app", 1, [], 0, (), None)
    change = replace(signup, contact_id="7")
    works = [one.work for one in (signup, change, replace(change, deletes=OnDelete.MARK))]
    assert works == [Work.CREATE, Work.UPDATE, Work.DELETE]


def test_the_names_of_stored_fields_differ_from_all_others() -> None:
    listed = re.findall(r"^``(\w+)``", record.__doc__ or "", re.MULTILINE)
    assert set(STORED) <= set(listed)
    assert len({*STORED.values(), *listed}) == len(STORED) + len(listed)


def test_fields_are_read_by_either_name() -> None:
    names = names_of("identifier", "state", "contact_id")
    assert names == ["i", "s", "c", "identifier", "state", "contact_id"]
    assert named(zip(names, ["ada", "created", None, None, None, "7"], strict=True)) == {
        "identifier": "ada",
        "state": "created",
        "contact_id": "7",
    }


def test_a_value_whose_hash_looks_like_no_value_is_one() -> None:
    """About one value in 16 million has such a hash. Changing its contact used to fail."""
    contact = Contact("ada", name="Ada 16453484")
    assert keyed_hash("name=Ada 16453484", b"salt", CHUNK_BYTES) == urlsafe_b64decode(ABSENT)
    assert set(chunks_of(fingerprint(contact, b"salt"))) == {"name"}
    with_attribute = structs.replace(contact, custom_attributes={"plan": "free"})
    assert set(chunks_of(fingerprint(with_attribute, b"salt"))) == {"name", "custom_attributes.plan"}
    assert differing_values(fingerprint(contact, b"salt"), {"name": contact.name}, b"salt") == []
