"""The export formats of products: each sample is imported as the product's webhook would send it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.deliveries import sample
from tests.rig.parts import ROOT
from tests.webhook_app.cli.office import Office
from webhook_app.cli.imports.formats import Format, load_formats
from webhook_app.sources import Source
from webhook_app.sources.delivery import Delivery
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.sample import BOUNDARY, Sample
from worker.model import Contact, Position, Signup, State
from worker.store import keys

FORMATS = load_formats()
WITH_WEBHOOKS = [one for one in FORMATS.values() if one.presets]


def source_with(preset: str) -> dict[str, Any]:
    """Return a source as the sources file writes it."""
    if "needs" in PRESETS[preset]:
        return {"preset": preset, "verify": {"jwks": "https://auth.example.com/.well-known/jwks.json"}}
    return {"preset": preset, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


def sent_by_webhook(source: Source, preset: str) -> Contact:
    """Return the contact in the preset's sample delivery."""
    written = sample(preset)
    headers = {name: value.replace("<boundary>", BOUNDARY) for name, value in written["headers"].items()}
    delivery = Delivery(headers=headers, body=Sample(written["body"], headers).encoded())
    reading = source.read_payload(source.reader.read(delivery), headers)
    assert isinstance(reading, Signup)
    return reading.contact


def file_name(written: Format) -> str:
    return "export.json" if written.is_json else "export.csv"


def imported(client: redis.Redis, folder: Path, written: Format, text: str, preset: str | None = None) -> Office:
    sources = {"product": source_with(preset)} if preset else {}
    office = Office(client, folder, sources=sources)
    options = ("--source", "product") if preset else ()
    result = office.take(text, "--preset", written.name, *options, name=file_name(written))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 accepted, 0 updated, 0 duplicate, "), result.output
    return office


@pytest.mark.parametrize("written", FORMATS.values(), ids=lambda written: written.name)
def test_samples_are_imported(written: Format, client: redis.Redis, tmp_path: Path) -> None:
    office = imported(client, tmp_path, written, written.sample)
    [(_, record)] = office.lists.in_state(State.PENDING, Position(), 9)
    assert record.contact is not None
    assert record.contact.name
    assert record.contact.email or written.name == "github"
    assert record.source == "import"
    assert record.notes == ()


@pytest.mark.parametrize("written", WITH_WEBHOOKS, ids=lambda written: written.name)
def test_an_import_and_the_webhook_have_the_same_identifier(
    written: Format, client: redis.Redis, tmp_path: Path
) -> None:
    """Otherwise everybody who is imported becomes a second contact with the next event."""
    office = imported(client, tmp_path, written, written.sample, written.presets[0])
    contact = sent_by_webhook(office.parts.sources["product"], written.presets[0])
    assert office.record(contact.identifier).source == "product"
    assert {PRESETS[preset].get("id_prefix", "") for preset in written.presets} == {written.id_prefix}
    client.flushall()
    assert imported(client, tmp_path, written, written.sample).record(contact.identifier).source == "import"


@pytest.mark.parametrize("name", ["typeform", "tally", "jotform"])
def test_questions_are_understood(name: str, office: Office) -> None:
    """In any language, and never those about somebody else; the same question twice is no mistake."""
    header, row = FORMATS[name].sample.splitlines()[:2]
    key = "#" if name == "typeform" else "Submission ID"
    identifier = dict(zip(header.split(","), row.split(","), strict=True))[key]
    result = office.take(
        f'{key},Friend\'s e-mail,"Wie lautet\nIhr Vorname?",Nachname,E-Mail-Adresse,Handynummer,Thema,Thema\n'
        f"{identifier},bob@example.com,Ada,Lovelace,ada@example.com,'+49 151 12345678,a,b\n",
        *("--preset", name),
    )
    assert result.exit_code == 0, result.stderr
    assert office.contact(identifier) == Contact(
        identifier, name="Ada Lovelace", email="ada@example.com", phone_number="+4915112345678"
    )
    assert "email from the question for it" in result.stderr


def test_partial_responses_are_ignored(office: Office) -> None:
    text = "#,E-mail,Response Type\n1,a@example.com,completed\n2,b@example.com,partial\n3,c@example.com,\n"
    assert office.take(text, "--preset", "typeform").stdout.startswith("2 accepted, 0 updated, 0 duplicate, 1 ignored")


def test_anonymous_and_deleted_people_are_ignored(office: Office) -> None:
    users = [
        {"localId": "1", "email": "a@example.com"},
        {"localId": "2"},
        {"localId": "3", "phoneNumber": "+12025550142"},
    ]
    result = office.take(json.dumps({"users": users}, indent=2), "--preset", "firebase", name="users.json")
    assert result.stdout == "2 accepted, 0 updated, 0 duplicate, 1 ignored, 0 invalid.\n"
    row = "u4,d@example.com,false,,,,," + "," * 18 + "+12025550143,false,,"
    assert office.take(f"{row}\nu5,,false{',' * 25}\n", "--preset", "firebase").stdout.startswith("1 accepted")
    assert office.contact("u4").phone_number == "+12025550143"
    members = "id,email,name,deleted_at\nm1,a@example.com,Ada,\nm2,b@example.com,Bob,2025-01-01T00:00:00.000Z\n"
    assert office.take(members, "--preset", "ghost").stdout.startswith("1 accepted, 0 updated, 0 duplicate, 1 ignored")


def test_columns_of_your_own_are_listed_but_do_not_stop_an_export(office: Office) -> None:
    result = office.take("Customer ID,Email,Loyalty (metafield)\n1,a@example.com,7\n", "--preset", "shopify")
    assert result.exit_code == 0
    assert "Not used: Loyalty (metafield)." in result.stderr


def test_a_column_that_the_product_has_renamed_stops_the_export(office: Office) -> None:
    result = office.take("Customer ID,E-mail address\n1,a@example.com\n", "--preset", "shopify")
    assert result.exit_code == 2
    assert 'E-mail address: did you mean "email"? --map "E-mail address=email"' in result.stderr


def test_the_export_of_another_product(office: Office) -> None:
    result = office.take("id,name,email\n1,Ada,a@example.com\n", "--preset", "shopify")
    assert result.exit_code == 2
    assert "This is not an export of Shopify: it has no column with the identifier." in result.stderr


def test_the_ids_of_two_products_are_not_those_of_one_person(office: Office) -> None:
    """Without a source, too: both exports have an id 1."""
    office.take("Customer ID,Email\n1,ada@example.com\n", "--preset", "shopify")
    result = office.take("id,Email\n1,bob@example.com\n", "--preset", "stripe")
    assert result.stdout == "0 accepted, 0 updated, 0 duplicate, 1 invalid.\n"
    assert office.take("identifier,email\n1,cyd@example.com\n").exit_code == 1
    assert office.contact("1").email == "ada@example.com"


def test_the_answers_of_a_form_are_those_of_visitors(office: Office) -> None:
    """Anybody can type any address into a form, so its contacts take over nothing."""
    office.take("#,E-mail\nanswer-1,ada@example.com\n", "--preset", "typeform")
    assert office.client.hget(keys.contact(office.key("answer-1")), "identity") == "visitor"


def test_a_hint_at_the_source_that_has_the_same_ids(client: redis.Redis, tmp_path: Path) -> None:
    office = Office(client, tmp_path, sources={"shop": source_with("shopify")})
    result = office.take("Customer ID,Email\n1,a@example.com\n", "--preset", "shopify")
    assert "The source shop has the same ids: --source shop imports into its id space." in result.stderr


@pytest.mark.parametrize("written", FORMATS.values(), ids=lambda written: written.name)
def test_formats_are_documented(written: Format) -> None:
    assert re.match("https://", written.documentation)
    assert written.how.endswith(".")
    assert set(written.presets) <= PRESETS.keys()
    page = " ".join((ROOT / "docs" / "importing.md").read_text(encoding="utf-8").split())
    words = [f"`{written.name}`, {written.title}: {written.how}", *written.notes]
    assert " ".join(words) in page
