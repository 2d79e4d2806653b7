"""Which column is which field: ``--map``, ``--ignore`` and suggestions."""

import pytest

from tests.webhook_app.cli.office import Office
from webhook_app.cli.export import COLUMNS
from webhook_app.cli.imports.columns import OWN_EXPORT
from webhook_app.cli.imports.formats import load_formats
from webhook_app.cli.imports.suggestions import field_named
from worker.model import Contact, State


def refused(office: Office, text: str, *options: str, name: str = "people.csv") -> str:
    """Return why a file is not imported; nothing of it was."""
    result = office.take(text, *options, name=name)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert set(office.store.contacts.counts().values()) == {0}
    assert office.store.audit.page() == []
    return result.stderr


# Unknown columns


def test_an_unknown_column_stops_the_import_before_the_first_row(office: Office) -> None:
    says = refused(office, "identifier,mail,Company\nada,ada@example.com,Acme\n")
    assert 'mail: did you mean "email"? --map mail=email' in says
    assert "Company: unknown column" in says
    assert "--ignore COLUMN" in says


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("E-Mail", "email"),
        ("emial", "email"),
        ("Email Address", "email"),
        ("Correo electrónico", "email"),
        ("user_id", "identifier"),
        ("UUID", "identifier"),
        ("First Name", "name"),
        ("display_name", "name"),
        ("Nachname", "name"),
        ("Telefon", "phone_number"),
        ("Mobile Phone", "phone_number"),
        ("phone number", "phone_number"),
        ("picture", "avatar_url"),
        ("channel_id", "inbox_id"),
        ("Country Code", "country"),
        ("Email Verified", "email_verified"),
    ],
)
def test_suggestions(column: str, field: str) -> None:
    assert field_named(column) == field


@pytest.mark.parametrize("column", ["Company", "Notes", "Total Spent", "Tags", "Created At", "", "x"])
def test_no_suggestion_without_a_resemblance(column: str) -> None:
    assert field_named(column) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,email\nAda,a@b.c\n", "--map email=identifier"),
        ("id,name\n1,Ada\n", 'id: did you mean "identifier"?'),
        ("name\nAda\n", "including identifier"),
        ("", "The file has no rows"),
        ("identifier,name,name\n", "more than one column name"),
    ],
)
def test_a_header_that_cannot_be_used(text: str, says: str, office: Office) -> None:
    assert says in refused(office, text)


def test_many_unknown_columns_are_not_all_listed(office: Office) -> None:
    says = refused(office, ",".join(["identifier", *(f"column {number}" for number in range(50))]) + "\n")
    assert "column 19: unknown column" in says
    assert "column 20" not in says
    assert "and 30 more" in says


def test_ignored_columns(office: Office) -> None:
    text = "identifier,mail,Company\nada,ada@example.com,Acme\n"
    assert 'no such column; did you mean "Company"?' in refused(office, text, "--ignore", "Compny", "--ignore", "mail")
    assert office.take(text, "--ignore", "MAIL", "--ignore", "company").exit_code == 0
    assert office.contact("ada") == Contact("ada")
    assert office.take(text, "--ignore-unknown").exit_code == 0


def test_a_column_without_a_name_is_ignored(office: Office) -> None:
    assert office.take("identifier,,\nada,,\n").exit_code == 0


# Mapped columns


def test_columns_are_mapped_and_joined_in_the_order_of_the_options(office: Office) -> None:
    result = office.take(
        "No;Last Name;First Name;mail;E=mc\n7;Lovelace;Ada;ada@example.com;+4915112345678\n",
        *("--map", "no=identifier", "--map", "First Name=name", "--map", "last name=name", "--map", "mail=email"),
        *("--map", "E=mc=phone_number"),
    )
    assert result.exit_code == 0, result.stderr
    assert office.contact("7") == Contact(
        "7", name="Ada Lovelace", email="ada@example.com", phone_number="+4915112345678"
    )
    assert "Columns: identifier from No; name from First Name, Last Name; email from mail" in result.stderr


def test_a_column_with_the_name_of_a_field_can_be_used_for_another_too(office: Office) -> None:
    office.take("email,name\nAda@example.com,Ada\n", "--map", "email=identifier")
    assert office.contact("Ada@example.com") == Contact("Ada@example.com", name="Ada", email="ada@example.com")


def test_a_mapped_field_replaces_the_column_of_its_name(office: Office) -> None:
    office.take("identifier,name,nickname\nada,Lovelace,Ada\n", "--map", "nickname=name")
    assert office.contact("ada").name == "Ada"


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("mial=email", '--map mial=email: no such column; did you mean "mail"?'),
        ("mail=emial", '--map mail=emial: unknown field; did you mean "email"?'),
    ],
)
def test_a_wrong_map(option: str, says: str, office: Office) -> None:
    assert says in refused(office, "identifier,mail\nada,\n", "--map", option, "--ignore", "mail")


def test_whether_an_address_is_verified_is_a_column(office: Office) -> None:
    office.take("identifier,email,email_verified\nada,ada@example.com,false\nbob,bob@example.com,TRUE\n")
    assert office.claim("ada").is_unverified
    assert not office.claim("bob").is_unverified


# JSON Lines


def test_an_unknown_key_of_a_later_row_stops_the_import_too(office: Office) -> None:
    lines = '{"identifier": "ada"}\n' * 600 + '{"identifier": "bob", "mail": "bob@example.com"}\n'
    says = refused(office, lines, name="people.jsonl")
    assert 'mail: did you mean "email"? --map mail=email' in says


def test_keys_and_paths_of_json_are_mapped(office: Office) -> None:
    line = '{"uid": 7, "user": {"mails": [{"address": "ada@example.com"}], "First Name": "Ada"}, "n": {"last": "King"}}'
    result = office.take(
        line,
        *("--map", "uid=identifier", "--map", "user.mails[0].address=email", "--map", "$.user['First Name']=name"),
        *("--map", "n.last=name"),
        name="people.jsonl",
    )
    assert result.exit_code == 0, result.stderr
    assert office.contact("7") == Contact("7", name="Ada King", email="ada@example.com")


def test_paths_of_json_are_suggested(office: Office) -> None:
    line = '{"identifier": "a", "user": {"mails": [{"address": "x"}], "e-mail": "a@example.com", "id": 7}, "tags": []}'
    says = refused(office, line, name="people.jsonl")
    assert """user['e-mail']: did you mean "email"? --map "user['e-mail']=email\"""" in says
    options = ("--map", "user['e-mail']=email", "--ignore", "tags")
    assert office.take(line, *options, name="people.jsonl").exit_code == 0
    assert office.contact("a").email == "a@example.com"
    office.client.flushall()
    assert "user: " not in says
    assert "tags: unknown column" in says
    says = refused(office, '{"users": [{"localId": "1", "email": "a@b.c"}]}', name="people.json")
    assert "This looks like" not in says


def test_the_document_of_a_product_is_recognised(office: Office) -> None:
    says = refused(office, load_formats()["firebase"].sample, name="people.json")
    assert "This looks like an export of Firebase Authentication: --preset firebase." in says


def test_a_path_that_is_not_there(office: Office) -> None:
    says = refused(office, '{"identifier": 1}', "--map", "usr.mail=email", name="people.jsonl")
    assert "--map usr.mail=email: no such column" in says


# Exports


def test_our_own_export_has_known_columns(office: Office) -> None:
    assert set(COLUMNS) > OWN_EXPORT
    office.bring(Contact("ada", name="Ada"))
    text = office.flask("export").stdout
    assert office.take(text).stdout.startswith("0 accepted")
    assert office.record("ada").state is State.PENDING


def test_identifiers_of_our_own_export_have_their_prefix_already(office: Office) -> None:
    blog = {"preset": "generic-bearer", "secret": "a-secret-of-the-blog", "id_prefix": "blog-"}
    office = Office(office.client, office.folder, sources={"blog": blog})
    office.take("identifier,name\n1,Ada\n", "--source", "blog")
    text = office.flask("export").stdout
    assert office.take(text, "--source", "blog").stdout == "0 accepted, 0 updated, 1 duplicate, 0 invalid.\n"


def test_the_export_of_a_product_is_recognised(office: Office) -> None:
    says = refused(office, "ID,user_login,display_name,user_email,user_registered,roles\n1,ada,Ada,a@example.com,,\n")
    assert "This looks like an export of WordPress users: --preset wordpress." in says
