"""``flask import``, ``export`` and ``erase``."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from tests.invariants import assert_invariants
from tests.rig.processes import free_port
from tests.world import CREATED, FAILED, LEASE_MS, World, make_store
from webhook_app.cli.export import PAGE
from webhook_app.cli.imports import csv_rows
from webhook_app.present.csv_export import bare, guarded
from worker.model import Attempt, AttemptResult, Contact, Origin, State, Unanswered
from worker.store import keys
from worker.store.connection import connect
from worker.store.contacts import Erased

LOST = AttemptResult(state=State.RETRYING, cause="answer_timeout", delay_ms=10**6, unanswered=Unanswered.NOW)


class Office(World):
    """An installation with commands that read and write files in ``folder``."""

    def __init__(self, client: redis.Redis, folder: Path, **options: Any) -> None:
        super().__init__(client, **{"inbox_id": 1, **options})
        self.folder = folder

    def take(self, text: str | bytes, *arguments: str, name: str = "people.csv") -> Result:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.flask("import", str(path), *arguments)

    def contact(self, identifier: str) -> Contact:
        contact = self.record(identifier).contact
        assert contact is not None
        return contact


@pytest.fixture
def office(client: redis.Redis, tmp_path: Path) -> Iterator[Office]:
    yield Office(client, tmp_path)
    assert_invariants(client)


# Import


def test_contacts_are_taken_and_normalised(office: Office) -> None:
    result = office.take(
        "identifier,name,email,phone_number,avatar_url,inbox_id\n"
        'ada," Ada  Lovelace ",ADA@Example.com,0151 12345678,https://example.com/a.png,5\n'
        "bob,,,,,\n",
        "--region",
        "DE",
    )
    assert (result.exit_code, result.stdout) == (0, "2 accepted, 0 duplicate, 0 invalid.\n")
    assert office.contact("ada") == Contact(
        "ada", 5, "Ada Lovelace", "ada@example.com", "+4915112345678", "https://example.com/a.png"
    )
    assert office.contact("bob") == Contact("bob")
    assert office.record("ada").source == "import"


def test_they_come_after_new_contacts_and_retries(office: Office) -> None:
    office.take("identifier\nada\n")
    score: Any = office.client.zscore(keys.DUE, office.key("ada"))
    assert score // keys.LANE == 2
    assert office.store.queue.length() == 0, "the sweep hands them over when there is room"
    assert office.store.queue.sweep().handed == 1


def test_an_import_again_does_no_harm(office: Office) -> None:
    office.bring(Contact("ada", name="Ada"), CREATED, source="import")
    assert office.take("identifier,name\nada,Ada\nbob,Bob\n").stdout == "1 accepted, 1 duplicate, 0 invalid.\n"
    assert office.take("identifier,name\nada,Ada\nbob,Bob\n").stdout == "0 accepted, 2 duplicate, 0 invalid.\n"
    assert office.record("ada").state is State.CREATED


def test_an_import_gives_a_failed_contact_another_try(office: Office) -> None:
    office.bring(Contact("ada", name="Ada"), FAILED, source="import")
    office.take("identifier,name\nada,Ada King\n")
    assert office.record("ada").state is State.PENDING


def test_invalid_rows_are_reported_by_line_and_the_rest_is_imported(office: Office) -> None:
    result = office.take(
        'identifier,name,inbox_id\n,nobody,\n"a\nb","two lines",\n\ncyd,Cyd,nowhere\ndan,Dan,1,one too many\neve,Eve\n'
    )
    assert result.exit_code == 1
    assert result.stdout == "1 accepted, 0 duplicate, 4 invalid.\n"
    assert result.stderr.splitlines()[-4:] == [
        "line 2: identifier: missing",
        "line 3: identifier: contains control characters or half a surrogate pair",
        "line 6: inbox_id: not an inbox id",
        "line 7: row: has more cells than the header",
    ]
    assert office.contact("eve").name == "Eve"


def test_fields_that_are_left_out_are_reported(office: Office) -> None:
    result = office.take("identifier,email\nada,not an address\n")
    assert result.exit_code == 0
    assert "line 2: email: left out: not an e-mail address" in result.stderr
    assert "not an address" not in result.output.replace("not an e-mail address", "")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_write(delimiter: str, office: Office) -> None:
    header, row = delimiter.join(["Identifier ", " NAME", "more"]), delimiter.join(["ada", "Äda", "x"])
    office.take(b"\xef\xbb\xbf" + f"{header}\r\n{row}\r\n".encode())
    assert office.contact("ada").name == "Äda"


def test_what_is_no_utf_8_is_bad_or_left_out(office: Office) -> None:
    result = office.take(b"identifier,name\n\xe4da,x\nbob,B\xf6b\n")
    assert result.exit_code == 1
    assert "line 2: identifier: contains control characters or half a surrogate pair" in result.stderr
    assert office.contact("bob").name == "Bb"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,email\nAda,a@b.c\n", "including identifier"),
        ("", "including identifier"),
        ("identifier,name,name\n", "more than one column name"),
    ],
)
def test_a_file_that_cannot_be_read(text: str, says: str, office: Office) -> None:
    result = office.take(text)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_name_without_a_known_suffix(office: Office) -> None:
    assert office.take("identifier\nada\n", name="people.txt").exit_code == 2
    assert office.take("identifier\nada\n", "--format", "csv", name="people.txt").exit_code == 0
    assert office.flask("import", str(office.folder / "none.csv")).exit_code == 2


def test_json_lines(office: Office) -> None:
    lines = [
        '{"identifier": 12345678901234567890, "name": "Ada"}',
        "",
        "{",
        "[]",
        '{"identifier": 1.5}',
        "[" * 100_000,
        '{"identifier": "bob", "email": null}',
        '{"identifier": true}',
    ]
    result = office.take("\n".join(lines), name="people.jsonl")
    assert result.stdout == "3 accepted, 0 duplicate, 4 invalid.\n"
    told = [line for line in result.stderr.splitlines() if line.startswith("line ")]
    assert [line.partition(":")[0] for line in told] == ["line 3", "line 4", "line 6", "line 8"]
    assert office.contact("12345678901234567890").name == "Ada"
    assert office.contact("1.5") == Contact("1.5")


def test_rows_without_an_inbox(office: Office) -> None:
    office = Office(office.client, office.folder, inbox_id=None)
    result = office.take("identifier,inbox_id\nada,\nbob,3\n")
    assert result.exit_code == 1
    assert "set LIVEDESK_INBOX_ID" in result.stderr
    office.take("identifier,inbox_id\nada,\n", "--inbox-id", "4")
    assert office.contact("ada").inbox_id == 4


def test_a_redis_that_becomes_unavailable_is_reported_with_the_line(office: Office) -> None:
    away = make_store(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1))
    office = Office(office.client, office.folder, store=away)
    result = office.take("identifier\nada\n")
    assert result.exit_code == 1
    assert "Lines before 2 are imported" in result.stderr


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=3))
def test_what_is_written_is_read_again(cells: list[str]) -> None:
    names = ["identifier", "name", "email"][: len(cells)]
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerows([names, [guarded(cell) for cell in cells]])
    rows = list(csv_rows(io.StringIO(file.getvalue(), newline="")))
    assert rows == ([(2, dict(zip(names, cells, strict=True)))] if any(cells) else [])


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "'"])
def test_no_spreadsheet_runs_a_cell(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert bare(guarded(text)) == text


@pytest.mark.parametrize("text", ["+4915112345678", "-5", "Ada", "", "a=b"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text
    assert bare(text) == text


# Export


def test_everything_is_exported(office: Office) -> None:
    office.bring(Contact("ada", name="Ada"), CREATED)
    office.bring(Contact("bob", name="=1+1"), FAILED)
    office.store.contacts.accept(Contact("cyd", 3, "Cyd", phone_number="+4915112345678"), Origin("app"))
    result = office.flask("export")
    assert result.exit_code == 0
    rows = {row["identifier"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert {name: row["state"] for name, row in rows.items()} == {"ada": "created", "bob": "failed", "cyd": "pending"}
    assert (rows["ada"]["contact_id"], rows["ada"]["name"]) == ("7", "")
    assert (rows["bob"]["name"], rows["bob"]["cause"]) == ("'=1+1", "email_refused")
    assert (rows["cyd"]["phone_number"], rows["cyd"]["inbox_id"]) == ("+4915112345678", "3")


def test_json_lines_are_exported_as_the_api_shows_them(office: Office) -> None:
    office.bring(Contact("ädä", name="Ada"), FAILED)
    [line] = office.flask("export", "--format", "jsonl").stdout.splitlines()
    row = json.loads(line)
    assert (row["identifier"], row["name"], row["email"], row["state"]) == ("ädä", "Ada", None, "failed")
    assert row["attempts"][0]["cause"] == "email_refused"


def test_only_some_states_are_exported(office: Office) -> None:
    office.bring(Contact("ada"), CREATED)
    office.bring(Contact("bob"), FAILED)
    office.store.contacts.accept(Contact("cyd"), Origin("app"))
    lines = office.flask("export", "--state", "failed", "--state", "pending", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["identifier"] for line in lines] == ["bob", "cyd"]


def test_all_pages_are_exported(office: Office) -> None:
    for number in range(PAGE + 3):
        office.store.contacts.accept(Contact(f"user-{number}"), Origin("app"))
    rows = list(csv.DictReader(io.StringIO(office.flask("export").stdout)))
    assert len({row["identifier"] for row in rows}) == len(rows) == PAGE + 3


@pytest.mark.parametrize(("form", "name"), [("csv", "people.csv"), ("jsonl", "people.jsonl")])
def test_what_was_exported_can_be_imported(form: str, name: str, office: Office) -> None:
    people = [
        Contact("=ada", 3, "-Ada", "ada@example.com", "+4915112345678", "https://example.com/a.png"),
        Contact("bob", None, 'B"o,b'),
        Contact("'cyd"),
    ]
    for contact in people:
        office.store.contacts.accept(contact, Origin("app"))
    text = office.flask("export", "--format", form).stdout
    office.client.flushall()
    assert office.take(text, name=name).stdout == "3 accepted, 0 duplicate, 0 invalid.\n"
    assert [office.contact(contact.identifier) for contact in people] == people


# Erase


def test_a_person_is_forgotten(office: Office) -> None:
    office.bring(Contact("ada", name="Ada"), CREATED)
    result = office.flask("erase", "ada")
    assert result.exit_code == 0
    assert "will create a new contact" in result.stdout
    assert "LiveDesk still has contact 7" in result.stdout
    assert "The answer to a create request was lost" not in result.stdout
    assert office.store.contacts.find("ada") is None
    assert set(office.store.contacts.counts().values()) == {0}
    assert office.client.zcard(keys.DUE) == 0


@pytest.mark.parametrize("verdict", [FAILED, LOST, AttemptResult(state=State.CONFLICT, cause="x", owner_id="9"), None])
def test_whatever_the_state_nothing_stays(verdict: AttemptResult | None, office: Office, client: redis.Redis) -> None:
    office.store.salt()
    before = client.dbsize()
    if verdict is None:
        office.store.contacts.accept(Contact("ada", name="Ada"), Origin("app"))
    else:
        office.bring(Contact("ada", name="Ada"), verdict)
    assert office.flask("erase", "ada").exit_code == 0
    names = cast(list[str], client.keys())
    counts = [name for name in names if name.startswith((keys.COUNTS, keys.minute(""), keys.people("")))]
    client.delete(keys.QUEUE, keys.CAUSES, keys.UPSTREAM, keys.FAILING, keys.AUDIT, *counts)
    assert client.dbsize() == before


def test_an_answer_that_is_unknown_is_said(office: Office) -> None:
    office.bring(Contact("ada"), LOST)
    assert "The answer to a create request was lost" in office.flask("erase", "ada").stdout


def test_a_contact_is_not_erased_during_an_attempt(office: Office) -> None:
    office.store.contacts.accept(Contact("ada"), Origin("app"))
    claim = office.store.contacts.claim(office.key("ada"), "token")
    assert claim is not None
    result = office.flask("erase", "ada")
    assert result.exit_code == 1
    assert "An attempt is in progress" in result.stderr
    assert office.record("ada").state is State.SENDING
    office.store.shift_ms += LEASE_MS
    assert office.store.contacts.erase(office.store.key_of("ada")) == Erased("erased", "", True), "its worker has died"
    assert not office.store.contacts.renew(claim)
    assert not office.store.contacts.finish(claim, CREATED, Attempt(1, 1)).written, "a late answer brings nobody back"
    assert office.store.contacts.find("ada") is None
    assert office.store.contacts.erase(office.store.key_of("ada")) == Erased("gone")


def test_a_contact_cannot_be_erased_twice(office: Office) -> None:
    result = office.flask("erase", "ada")
    assert result.exit_code == 1
    assert "There is no such contact." in result.stderr


def test_who_was_forgotten_is_new(office: Office) -> None:
    office.bring(Contact("ada"), CREATED)
    office.flask("erase", "ada")
    assert office.store.contacts.accept(Contact("ada"), Origin("app")).status == "accepted"


def test_import_and_export_are_audited(office: Office) -> None:
    office.take("identifier\nada\n", "--who", "joan", "--why", "the old shop")
    office.flask("export")
    office.flask("export", "--state", "failed", "--who", "joan")
    assert [(entry.who, entry.did, entry.why) for entry in office.store.audit.page()] == [
        ("joan", "exported contacts: failed", ""),
        ("command line", "exported contacts: all", ""),
        ("joan", "imported 1 contact", "the old shop"),
    ]
