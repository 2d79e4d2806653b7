"""``flask import``: rows to contacts, what is reported about the others, and where contacts come from."""

import csv
import gzip
import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rig.parts import ROOT, bare_environment
from tests.rig.processes import free_port
from tests.webhook_app.cli.office import Office
from tests.world import CREATED, FAILED, make_store
from webhook_app.cli.imports.importer import CHUNK
from webhook_app.cli.imports.reading import CsvTable
from webhook_app.present.csv_export import bare, guarded
from worker.model import Contact, Requirements, State
from worker.store import keys
from worker.store.connection import connect

SHOP = {"preset": "shopify", "secret": "a-secret-of-the-shop", "region": "DE", "inbox_id": 9}
FORM = {"preset": "generic-bearer", "secret": "a-secret-of-the-form", "identity": "visitor"}
BLOG = {"preset": "generic-bearer", "secret": "a-secret-of-the-blog", "id_prefix": "blog-", "id_space": "members"}
APP = {"preset": "generic-bearer", "secret": "a-secret-of-the-app", "id_space": "members"}


def summary(accepted: int = 0, updated: int = 0, duplicate: int = 0, invalid: int = 0) -> str:
    return f"{accepted} accepted, {updated} updated, {duplicate} duplicate, {invalid} invalid.\n"


# Rows


def test_contacts_are_accepted_and_normalised(office: Office) -> None:
    result = office.take(
        "identifier,name,email,phone_number,avatar_url,inbox_id\n"
        'ada," Ada  Lovelace ",ADA@Example.com,0151 12345678,https://example.com/a.png,5\n'
        "bob,,,,,\n",
        "--region",
        "de",
    )
    assert (result.exit_code, result.stdout) == (0, summary(accepted=2))
    assert office.contact("ada") == Contact(
        "ada", 5, "Ada Lovelace", "ada@example.com", "+4915112345678", "https://example.com/a.png"
    )
    assert office.contact("bob") == Contact("bob")
    assert office.record("ada").source == "import"


def test_columns_can_be_attributes(office: Office) -> None:
    text = "identifier,Plan,custom_attributes.seats,City\nada,gold,5,Lyon\nbob,,,\n"
    maps = ("--map", "Plan=custom_attributes.plan", "--map", "City=additional_attributes.city")
    assert office.take(text, *maps).stdout == summary(accepted=2)
    assert office.contact("ada").custom_attributes == {"plan": "gold", "seats": "5"}
    assert office.contact("ada").additional_attributes == {"city": "Lyon"}
    assert office.contact("bob") == Contact("bob")
    wrong = office.take(text, "--map", "Plan=custom_attributes.1st", "--ignore-unknown")
    assert wrong.exit_code == 2
    assert "--map Plan=custom_attributes.1st: unknown field" in wrong.output


def test_a_row_never_overwrites_what_is_newer(office: Office) -> None:
    newer = {"identifier": "ada", "name": "Ada L.", "event_time": "2026-02-01T00:00:00Z"}
    assert office.take(json.dumps(newer), name="people.jsonl").stdout == summary(accepted=1)
    text = "identifier,name,Updated At\nada,Ada,2026-01-01 00:00:00\nbob,Bob,\n"
    assert office.take(text, "--map", "Updated At=event_time").stdout == summary(accepted=1, duplicate=1)
    assert office.contact("ada").name == "Ada L."
    assert office.take(text.replace("2026-01", "2026-03"), "--map", "Updated At=event_time").exit_code == 0
    assert office.contact("ada").name == "Ada"


def test_a_blank_cell_leaves_a_field_as_it_is(office: Office) -> None:
    office.take("identifier,name,email\nada,Ada,ada@example.com\n")
    office.take("identifier,name,email\nada,,eve@example.com\n")
    assert office.contact("ada") == Contact("ada", name="Ada", email="eve@example.com")


def test_json_has_attributes_with_their_types(office: Office) -> None:
    row = {"identifier": "ada", "custom_attributes": {"plan": "gold", "seats": 5, "vip": True}, "tier": 2}
    assert office.take(json.dumps(row), "--ignore", "tier", name="people.jsonl").stdout == summary(accepted=1)
    assert office.contact("ada").custom_attributes == {"plan": "gold", "seats": 5, "vip": True}


def test_a_label_that_asks_for_a_country_is_understood(office: Office) -> None:
    result = office.take("identifier,Country you live in\nada,DE\n")
    assert 'Country you live in: did you mean "country"?' in result.output


def test_they_come_after_new_contacts_and_retries(office: Office) -> None:
    office.take("identifier\nada\n")
    score: Any = office.client.zscore(keys.DUE, office.key("ada"))
    assert score // keys.LANE == 2
    assert office.store.queue.length() == 0, "the sweep hands them over when there is room"
    assert office.store.queue.sweep().handed == 1


def test_an_import_again_does_no_harm(office: Office) -> None:
    office.take("identifier,name\nada,Ada\n")
    assert office.take("identifier,name\nada,Ada\nbob,Bob\n").stdout == summary(accepted=1, duplicate=1)
    assert office.take("identifier,name\nada,Ada\nbob,Bob\n").stdout == summary(duplicate=2)


def test_rows_that_change_a_contact_are_called_updated(office: Office) -> None:
    office.take("identifier,name\nada,Ada\nbob,Bob\n")
    result = office.take("identifier,name\nada,Ada King\nbob,Bob\ncyd,Cyd\n,\n,nobody\n")
    assert result.stdout == summary(accepted=1, updated=1, duplicate=1, invalid=1)
    assert office.contact("ada").name == "Ada King"


def test_an_import_gives_a_failed_contact_another_try(office: Office) -> None:
    office.bring(Contact("ada", name="Ada"), FAILED, source="import")
    office.take("identifier,name\nada,Ada King\n")
    assert office.record("ada").state is State.PENDING


def test_rows_without_an_inbox(office: Office) -> None:
    office = Office(office.client, office.folder, inbox_id=None)
    result = office.take("identifier,inbox_id\nada,\nbob,3\n")
    assert result.exit_code == 1
    assert "set LIVEDESK_INBOX_ID" in result.stderr
    office.take("identifier,inbox_id\nada,\n", "--inbox-id", "4")
    assert office.contact("ada").inbox_id == 4


def test_several_chunks(office: Office) -> None:
    rows = "".join(f"user-{number}\n" for number in range(CHUNK * 2 + 7))
    assert office.take(f"identifier\n{rows}").stdout == "1,007 accepted, 0 updated, 0 duplicate, 0 invalid.\n"
    assert office.store.contacts.counts()[State.PENDING] == CHUNK * 2 + 7


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
    assert result.stdout == summary(accepted=3, invalid=4)
    for line in ("not JSON (rows 3, 6)", "not a JSON object (row 4)", "identifier: neither text nor an exact number"):
        assert line in result.stderr
    assert office.contact("12345678901234567890").name == "Ada"
    assert office.contact("1.5") == Contact("1.5")


@pytest.mark.parametrize(
    "text", ['[{"identifier": "a"}, {"identifier": "b"}]', '[\n {"identifier": "a"},\n {\n"identifier": "b"}\n]']
)
def test_a_json_document(text: str, office: Office) -> None:
    assert office.take(text, name="people.json").stdout == summary(accepted=2)


def test_pipes(office: Office) -> None:
    fifo = office.folder / "pipe.csv"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_text("identifier\nada\n", encoding="utf-8"))
    writer.start()
    result = office.flask("import", str(fifo))
    writer.join()
    assert result.stdout == summary(accepted=1)


def test_a_compressed_file(office: Office) -> None:
    result = office.take(gzip.compress(b'{"identifier": "ada"}\n'), name="users.ndjson.gz")
    assert result.stdout == summary(accepted=1)


def test_a_compressed_file_that_was_cut_off_is_imported_as_far_as_it_goes(office: Office) -> None:
    rows = "".join(f"{hashlib.sha256(str(number).encode()).hexdigest()}\n" for number in range(3 * CHUNK))
    result = office.take(gzip.compress(f"identifier\n{rows}".encode())[:-9], name="users.csv.gz")
    assert result.exit_code == 1
    assert "The file cannot be read" in result.stderr
    assert "Import the file again to continue." in result.stderr


# Files as programs and spreadsheets write them


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_delimiters_and_encodings(delimiter: str, encoding: str, office: Office) -> None:
    header, row = delimiter.join(["Identifier ", " NAME"]), delimiter.join(["ada", "Äda"])
    result = office.take(f"{header}\r\n{row}\r\n".encode(encoding))
    assert result.stdout == summary(accepted=1), result.stderr
    assert office.contact("ada").name == "Äda"


@pytest.mark.parametrize("encoding", [None, "utf-8"])
@pytest.mark.parametrize(
    ("text", "name"), [('\ufeff\n\n"identifier"\n,\nada\n', "a.csv"), ('\ufeff{"identifier": "ada"}', "a.json")]
)
def test_blank_lines_and_marks_before_the_first(text: str, name: str, encoding: str | None, office: Office) -> None:
    result = office.take(text, *(("--encoding", encoding) if encoding else ()), name=name)
    assert result.stdout == summary(accepted=1), result.stderr


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n', "SEP=;\n"])
def test_the_line_with_which_excel_names_the_delimiter(first: str, office: Office) -> None:
    result = office.take(f"{first}identifier;name\nada;Ada, Countess\n;nobody\n")
    assert office.contact("ada").name == "Ada, Countess"
    assert "identifier: missing (line 4)" in result.stderr


def test_a_delimiter_in_quoted_names_does_not_count(office: Office) -> None:
    text = '"First, middle and last name, please";identifier\nAda;ada\n'
    assert office.take(text, "--ignore-unknown").stdout == summary(accepted=1)


def test_line_breaks_in_cells_and_in_the_header(office: Office) -> None:
    text = 'identifier,"What is\nyour name?"\nada,"Ada\nLovelace"\n,nobody\n'
    result = office.take(text, "--map", "what is your name?=name")
    assert office.contact("ada").name == "Ada Lovelace"
    assert "identifier: missing (line 5)" in result.stderr


@pytest.mark.parametrize("cell", ["'706405506930370084", "706405506930370084"])
def test_an_apostrophe_before_a_number_is_a_spreadsheets(cell: str, office: Office) -> None:
    """Shopify's and Typeform's exports have it, before ids and phone numbers."""
    office.take(f"identifier,phone_number,name\n{cell},'+1 202-555-0142,'t Hooft\n")
    assert office.contact("706405506930370084") == Contact(
        "706405506930370084", name="'t Hooft", phone_number="+12025550142"
    )


@pytest.mark.parametrize("cell", ["6.54321E+12", "7,06405506930370E+17", " 1.2E+5"])
def test_an_identifier_that_a_spreadsheet_rounded_is_invalid(cell: str, office: Office) -> None:
    """Two people's ids become one: both are 7.06405506930370E+17."""
    result = office.take(f'identifier,name\n"{cell}",Ada\n')
    assert result.stdout == summary(invalid=1)
    assert "identifier: rounded by a spreadsheet; export the file again (line 2)" in result.stderr


@pytest.mark.parametrize("cell", ["#N/A", "#REF!", "#NAME?", "\\N"])
def test_what_has_no_value_is_empty(cell: str, office: Office) -> None:
    result = office.take(f"identifier,name\nada,{cell}\n{cell},Bob\n")
    assert result.stdout == summary(accepted=1, invalid=1)
    assert office.contact("ada").name is None


def test_what_is_not_in_the_encoding_is_invalid(office: Office) -> None:
    text = b"identifier,name\n\xe4da,x\nbob,B\xf6b\ncyd,Cyd\n"
    result = office.take(text)
    assert result.stdout == summary(accepted=1, invalid=2)
    assert "not in the encoding of the file; give the right one with --encoding (lines 2, 3)" in result.stderr
    assert office.take(text, "--encoding", "cp1252").stdout == summary(accepted=2, duplicate=1)
    assert office.contact("bob").name == "Böb"


def test_a_missing_quotation_mark_does_not_swallow_the_rows_below(office: Office) -> None:
    result = office.take('identifier,name\nada,"Ada\nbob,Bob\ncyd,"Cyd"\neve,Eve\n')
    assert result.stdout == summary(accepted=3, invalid=1)
    assert "row: not CSV: a quotation mark is missing, or the row is too long (line 2)" in result.stderr
    assert [office.contact(name).name for name in ("bob", "cyd", "eve")] == ["Bob", "Cyd", "Eve"]


def test_quotation_marks_that_are_only_untidy_are_read(office: Office) -> None:
    result = office.take('identifier , name\n"ada" , "Ada" \nbob,"B"ob\ncyd,"Cyd" "x",y\n')
    assert result.stdout == summary(accepted=2, invalid=1)
    assert [office.contact(name).name for name in ("ada", "bob")] == ["Ada", "Bob"]


def test_two_people_under_one_identifier_in_a_file(office: Office) -> None:
    """A wrong column is the identifier: the second would replace the first."""
    result = office.take(
        "identifier,email,phone_number\nacme,ada@example.com,\nacme,bob@example.com,\nacme,ADA@example.com,+12025550142\n"
    )
    assert result.stdout == summary(accepted=1, updated=1, invalid=1)
    assert "identifier: an earlier row has it, with another e-mail address or phone number (line 3)" in result.stderr
    assert office.contact("acme").email == "ada@example.com"


@pytest.mark.parametrize("name", ["people.zip", "people.xlsx", "people.csv"])
def test_an_archive_or_a_workbook(name: str, office: Office) -> None:
    result = office.take(b"PK\x03\x04 and more", "--format", "csv", name=name)
    assert result.exit_code == 2
    assert "save it as CSV" in result.stderr


def test_a_name_without_a_known_suffix(office: Office) -> None:
    assert office.take("identifier\nada\n", name="people.dat").exit_code == 2
    assert office.take("identifier\nada\n", "--format", "csv", name="people.dat").exit_code == 0
    assert office.flask("import", str(office.folder / "none.csv")).exit_code == 2


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(str.strip)


@given(st.lists(CELLS, min_size=1, max_size=3))
def test_what_is_written_is_read_again(cells: list[str]) -> None:
    names = ["identifier", "name", "email"][: len(cells)]
    file = io.StringIO(newline="")
    csv.writer(file).writerows([names, [guarded(cell) for cell in cells]])
    rows = [row.value for row in CsvTable(io.StringIO(file.getvalue(), newline="")).rows()]
    read = [[bare(cell) for cell in row] for row in rows if isinstance(row, list)]
    assert read == ([cells] if any(cells) else [])


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tA1", "\rA1", "\nA1", "'=1", "'", " =1"]
)
def test_no_spreadsheet_runs_a_cell(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert bare(guarded(text)) == text


@pytest.mark.parametrize("text", ["＝1+1", "＋1", "－1", "＠SUM(A1)", "﹦1", "﹢1", "﹣1", "﹫A1"])
def test_a_full_width_sign_starts_a_formula_too(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert bare(guarded(text)) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("x,  @SUM(A1)", "x,  '@SUM(A1)"),
        ("x\t=1+1\ny|＝1", "x\t'=1+1\ny|'＝1"),
        ('x";=1+1;"', 'x";\'=1+1;"'),
        ('x"=1', "x\"'=1"),
        ("\t=1", "'\t'=1"),
        ("x;'=1", "x;''=1"),
        ("x;-5;+4915112345678", "x;-5;+4915112345678"),
        ("say, 'hello'; it's", "say, 'hello'; it's"),
    ],
)
def test_nor_what_another_separator_makes_a_cell_of(text: str, safe: str) -> None:
    """As where a spreadsheet expects semicolons, or quotes otherwise."""
    assert guarded(text) == safe
    assert bare(safe) == text


@pytest.mark.parametrize("text", ["+4915112345678", "-5", "Ada", "", "a=b"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text
    assert bare(text) == text


# What is reported


def test_invalid_rows_are_reported_by_kind_and_the_rest_is_imported(office: Office) -> None:
    result = office.take(
        'identifier,name,inbox_id\n,nobody,\n"a\nb","two lines",\n\ncyd,Cyd,nowhere\ndan,Dan,1,one too many\neve,Eve\n'
    )
    assert result.exit_code == 1
    assert result.stdout == summary(accepted=1, invalid=4)
    lines = [line.strip() for line in result.stderr.splitlines()]
    for line in (
        "1  identifier: missing (line 2)",
        "1  identifier: contains control characters or half a surrogate pair (line 3)",
        "1  inbox_id: not an inbox id (line 6)",
        "1  row: has more cells than the header (line 7)",
    ):
        assert line in lines
    assert office.contact("eve").name == "Eve"


def test_many_invalid_rows_are_one_line_with_the_first_ten(office: Office) -> None:
    result = office.take("identifier,name\n" + ",nobody\n" * 1500 + "ada,Ada\n")
    [line] = [line for line in result.stderr.splitlines() if "missing" in line]
    assert line.strip() == "1,500  identifier: missing (lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...)"
    assert "1,500 rows not imported:" in result.stderr


def test_fields_that_are_left_out_are_reported_by_kind(office: Office) -> None:
    rows = "".join(f"user-{number},not an address\n" for number in range(20))
    result = office.take(f"identifier,email\n{rows}")
    assert result.exit_code == 0
    [line] = [line for line in result.stderr.splitlines() if "left out" in line]
    assert line.strip().startswith("20  email: left out: not an e-mail address (lines 2, 3,")
    assert "not an address" not in result.output.replace("not an e-mail address", "")


def test_invalid_rows_are_written_to_be_fixed_and_imported_again(office: Office) -> None:
    errors = office.folder / "errors.csv"
    text = "identifier;name;mail;more\n'=1;Ada;ada@example.com;x\n;Bob;bob@example.com;'=2\n;Cyd\n"
    options = ("--map", "mail=email", "--ignore", "more")
    result = office.take(text, *options, "--errors", str(errors))
    assert result.stdout == summary(accepted=1, invalid=2)
    assert stat.S_IMODE(errors.stat().st_mode) == 0o600
    rows = list(csv.reader(io.StringIO(errors.read_text(encoding="utf-8"))))
    assert rows == [
        ["line", "problem", "identifier", "name", "mail", "more"],
        ["3", "identifier: missing", "", "Bob", "bob@example.com", "'=2"],
        ["4", "identifier: missing", "", "Cyd"],
    ]
    fixed = errors.read_text(encoding="utf-8").replace(",,Bob", ",bob,Bob").replace(",,Cyd", ",cyd,Cyd")
    assert office.take(fixed, *options, name="fixed.csv").stdout == summary(accepted=2)
    assert office.contact("bob") == Contact("bob", name="Bob", email="bob@example.com")


def test_invalid_rows_of_json_keep_every_digit(office: Office) -> None:
    errors = office.folder / "errors.jsonl"
    lines = ['{"identifier": 1.50, "name": "Ada", "inbox_id": 12345678901234567890}', "{broken", "7"]
    office.take("\n".join(lines), "--errors", str(errors), name="people.jsonl")
    written = errors.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["line"] for line in written] == [1, 2, 3]
    assert lines[0] in written[0]
    assert json.loads(written[1])["row"] == "{broken"
    fixed = [
        written[0].replace("12345678901234567890", "3"),
        written[1].replace("{broken", '{\\"identifier\\": 8}'),
    ]
    assert office.take("\n".join(fixed), name="fixed.jsonl").stdout == summary(accepted=2)
    assert office.contact("1.50") == Contact("1.50", 3, "Ada")
    assert office.contact("8") == Contact("8")


def test_the_file_of_invalid_rows_replaces_nothing(office: Office) -> None:
    errors = office.folder / "errors.csv"
    errors.write_text("mine", encoding="utf-8")
    result = office.take("identifier\nada\n", "--errors", str(errors))
    assert result.exit_code == 2
    assert "--force replaces it" in result.stderr
    assert office.store.contacts.find("ada") is None
    assert errors.read_text(encoding="utf-8") == "mine"
    assert office.take("identifier,name\n,Bob\n", "--errors", str(errors), "--force").exit_code == 1
    assert "identifier: missing" in errors.read_text(encoding="utf-8")
    assert office.take("identifier\nada\n", "--errors", str(errors), "--force").exit_code == 0
    assert not errors.exists(), "there are no invalid rows"


def test_the_file_of_invalid_rows_is_not_the_imported_one(office: Office) -> None:
    path = office.folder / "people.csv"
    result = office.take("identifier\nada\n", "--errors", str(path), "--force")
    assert result.exit_code == 2
    assert path.read_text(encoding="utf-8") == "identifier\nada\n"
    missing = office.take("identifier\nada\n", "--errors", str(office.folder / "none" / "errors.csv"))
    assert missing.exit_code == 2
    assert "No such file or directory" in missing.stderr


def test_a_dry_run_stores_nothing(office: Office) -> None:
    result = office.take("identifier,name\nada,Ada\n,Bob\n", "--dry-run")
    assert result.exit_code == 1
    assert result.stdout == "1 row can be imported, 1 invalid. Nothing was stored: this was a dry run.\n"
    assert "Columns: identifier from identifier; name from name." in result.stderr
    assert office.store.contacts.find("ada") is None
    assert office.store.audit.page() == []


# Where contacts come from


def test_without_a_source_rows_have_an_id_space_of_their_own(office: Office) -> None:
    office.bring(Contact("1", email="ada@example.com"), source="crm")
    result = office.take("identifier,email\n1,bob@example.com\n")
    assert result.exit_code == 1
    assert result.stdout == summary(invalid=1)
    assert 'clash: the source "crm" has another person with this identifier (line 2)' in result.stderr
    assert office.contact("1").email == "ada@example.com"


def test_a_clash_is_written_to_the_file_of_errors(office: Office) -> None:
    errors = office.folder / "errors.csv"
    office.bring(Contact("1", email="ada@example.com"), source="crm")
    office.take("identifier,email\n1,bob@example.com\n2,cyd@example.com\n", "--errors", str(errors))
    assert 'clash: the source ""crm"" has another person' in errors.read_text(encoding="utf-8")
    assert "cyd" not in errors.read_text(encoding="utf-8")


def test_the_same_person_of_another_source_is_no_clash(office: Office) -> None:
    office.bring(Contact("1", email="ada@example.com"), CREATED, source="crm")
    assert office.take("identifier,email\n1,Ada@example.com\n").stdout == summary(duplicate=1)


def test_a_source_gives_its_region_inbox_and_name(office: Office) -> None:
    office = Office(office.client, office.folder, sources={"shop": SHOP})
    office.take("identifier,phone_number,inbox_id\nada,0151 12345678,\nbob,,3\n", "--source", "shop")
    assert office.record("ada").source == "shop"
    assert office.contact("ada") == Contact("ada", 9, phone_number="+4915112345678")
    assert office.contact("bob").inbox_id == 3
    options = ("--source", "shop", "--region", "FR", "--inbox-id", "2")
    office.take("identifier,phone_number\ncyd,06 12 34 56 78\n", *options)
    assert office.contact("cyd") == Contact("cyd", 2, phone_number="+33612345678")


def test_placeholders_are_no_identifiers_unless_the_source_allows_them(office: Office) -> None:
    """Each is what many people have instead of an id."""
    text = "identifier,name\nundefined,Ada\nnull,Bob\n0,Cyd\n{{ user.id }},Dan\nxxxxx,Eve\n"
    office = Office(office.client, office.folder, sources={"shop": {**SHOP, "allow_identifiers": ["0"]}})
    assert office.take(text).stdout == summary(invalid=5)
    assert office.take(text, "--source", "shop").stdout == summary(accepted=1, invalid=4)
    assert office.contact("0").name == "Cyd"


def test_what_people_copy_is_cleaned_as_in_a_delivery(office: Office) -> None:
    blog = {"preset": "wordpress", "secret": "a-secret-of-the-blog"}
    office = Office(office.client, office.folder, sources={"blog": blog})
    office.take(
        "identifier,name,email,phone_number,country\n"
        "1,Siobh&#225;n O&#039;Brien\ufeff,mailto:s@example.com,06 12 34 56 78,FR\n"
        "2,Tom,t@example.com\u200b,whatsapp:+4915112345678,\n",
        "--source",
        "blog",
    )
    assert office.contact("wp-1") == Contact(
        "wp-1", name="Siobh\u00e1n O'Brien", email="s@example.com", phone_number="+33612345678"
    )
    assert office.contact("wp-2") == Contact("wp-2", name="Tom", email="t@example.com", phone_number="+4915112345678")


def test_a_source_gives_its_id_space_and_prefix(office: Office) -> None:
    office = Office(office.client, office.folder, sources={"blog": BLOG, "app": APP})
    office.take("identifier,name\n1,Ada\n", "--source", "blog")
    assert office.contact("blog-1").name == "Ada"
    result = office.take("identifier,name\nblog-1,Ada King\n", "--source", "app")
    assert result.stdout == summary(updated=1), "the ids of one system, so the same person"


def test_a_source_gives_its_identity_class(office: Office) -> None:
    office = Office(office.client, office.folder, sources={"form": FORM})
    office.bring(Contact("user-77", email="vera@example.com"), source="app")
    result = office.take("identifier,email\nuser-77,mallory@example.net\nanswer-1,m@example.net\n", "--source", "form")
    assert result.stdout == summary(accepted=1, invalid=1)
    assert office.contact("user-77").email == "vera@example.com"
    assert office.client.hget(keys.contact(office.key("answer-1")), "identity") == "visitor"


def test_files_of_two_systems_have_two_id_spaces(office: Office) -> None:
    """Both count from 1. In one id space, the second person would replace the first."""
    office.take("identifier,email\n1,ada@example.com\n", "--id-space", "crm")
    result = office.take("identifier,email\n1,bob@example.com\n", "--id-space", "shop")
    assert result.stdout == summary(invalid=1)
    assert office.contact("1").email == "ada@example.com"
    assert office.take("identifier,name\n1,Ada\n", "--id-space", "crm").stdout == summary(updated=1)
    for options, says in ((("--id-space", "my crm"), "must begin with"), (("--source", "shop"), "There is no source")):
        refused = office.take("identifier\n2\n", *options)
        assert refused.exit_code == 2
        assert says in refused.stderr


def test_an_unknown_source(office: Office) -> None:
    office = Office(office.client, office.folder, sources={"shop": SHOP, "form": FORM})
    result = office.take("identifier\nada\n", "--source", "shpo")
    assert result.exit_code == 2
    assert 'There is no source "shpo"; did you mean "shop"?' in result.stderr
    assert office.store.contacts.find("ada") is None


def test_a_source_with_the_ids_of_another_product(office: Office) -> None:
    office = Office(office.client, office.folder, sources={"shop": SHOP})
    result = office.take("id,primary_email_address\nuser_1,\n", "--source", "shop", "--preset", "clerk")
    assert result.exit_code == 2
    assert "The source shop has the ids of Shopify, and the file those of Clerk" in result.stderr


# Ends that are not the end of the file


def test_a_redis_that_becomes_unavailable_is_reported_with_the_line(office: Office) -> None:
    away = make_store(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1))
    office = Office(office.client, office.folder, store=away)
    result = office.take("identifier\nada\n")
    assert result.exit_code == 1
    assert "The lines before 2 are imported. Up to 1 more may be. Import the file again to continue." in result.stderr


def test_an_import_stops_when_there_is_no_room(office: Office) -> None:
    store = make_store(office.client, requirements=Requirements(max_backlog=CHUNK + 3))
    office = Office(office.client, office.folder, store=store)
    rows = "".join(f"user-{number}\n" for number in range(2 * CHUNK))
    result = office.take(f"identifier\n{rows}", "--who", "joan")
    assert result.exit_code == 1
    assert result.stdout == summary(accepted=CHUNK)
    assert "There is no room for more now: too many contacts are open." in result.stderr
    assert f"The lines before {CHUNK + 2} are imported. Up to {CHUNK} more may be." in result.stderr
    [entry] = store.audit.page()
    assert entry.did.endswith(
        f"; There is no room for more now: too many contacts are open, up to {CHUNK} more may be stored"
    )


def test_where_to_see_what_was_imported(office: Office) -> None:
    result = office.take("identifier\nada\n")
    assert "flask contacts list --state pending --source import lists those that wait." in result.stderr
    listed = office.flask("contacts", "list", "--state", "pending", "--source", "import")
    assert "ada" in listed.stdout


def test_standard_input(office: Office, redis_url: str) -> None:
    env = {**bare_environment(), "REDIS_URL": redis_url, "LIVEDESK_API_KEY": "key", "LIVEDESK_API_SECRET": "secret"}
    command = [sys.executable, "-m", "flask", "import", "-", "--format", "csv"]
    text = "identifier,inbox_id\nada,3\n"
    result = subprocess.run(command, env=env, cwd=ROOT, input=text, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, summary(accepted=1)), result.stderr
    assert office.contact("ada") == Contact("ada", 3)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_import_is_reported_and_recorded(number: int, code: int, office: Office) -> None:
    def interrupt() -> None:
        while not office.store.contacts.counts()[State.PENDING]:
            time.sleep(0.001)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    rows = "".join(f"user-{index}\n" for index in range(40 * CHUNK))
    result = office.take(f"identifier\n{rows}", "--who", "joan")
    thread.join()
    assert result.exit_code == code
    stored = office.store.contacts.counts()[State.PENDING]
    assert 0 < stored < 40 * CHUNK
    assert result.stdout == f"{stored:,} accepted, 0 updated, 0 duplicate, 0 invalid.\n"
    assert f"The lines before {stored + 2} are imported" in result.stderr
    [entry] = office.store.audit.page()
    assert entry.did.startswith(f"imported {stored:,} contacts")
    assert entry.did.endswith(f"; Stopped by {signal.Signals(number).name}")
    assert signal.getsignal(number) is not None


def test_imports_are_audited_without_the_name_of_the_file(office: Office) -> None:
    text = "identifier,name\nada,Ada\n,Bob\n"
    office.take(text, "--who", "joan", "--why", "the old shop", name="ada-lovelace.csv")
    [entry] = office.store.audit.page()
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert (entry.who, entry.why, entry.target) == ("joan", "the old shop", "import")
    assert entry.did == f"imported 1 contact (0 updated, 0 duplicate, 1 invalid) from file {digest}"


def test_options_that_are_wrong(office: Office, tmp_path: Path) -> None:
    for options, says in (
        (("--region", "Germany"), "two-letter code"),
        (("--encoding", "latin-x"), "cp1252"),
        (("--map", "name"), "must be COLUMN=FIELD"),
        (("--preset", "shopfy"), 'did you mean "shopify"?'),
        (("--preset", "?"), "Known: cognito, auth0, chatwoot, clerk"),
    ):
        result = office.take("identifier\nada\n", *options)
        assert result.exit_code == 2
        assert says in result.stderr
