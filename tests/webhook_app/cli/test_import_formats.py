"""The export formats of products: each sample is imported as the product's webhook would send it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.rig.parts import ROOT
from tests.webhook_app.cli.office import Office
from webhook_app.cli.imports.formats import Format, load_formats
from webhook_app.sources import Source
from webhook_app.sources.delivery import Delivery
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.sample import SAMPLES, Sample
from worker.model import Contact, Position, Signup, State

FORMATS = load_formats()
WITH_WEBHOOKS = [one for one in FORMATS.values() if one.presets]


def source_with(preset: str) -> dict[str, Any]:
    """Return a source as the sources file writes it."""
    return {"preset": preset, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


def sent_by_webhook(source: Source, preset: str) -> Contact:
    """Return the contact in the preset's sample delivery."""
    sample = json.loads((SAMPLES / f"{preset.replace('-', '_')}.json").read_text(encoding="utf-8"))
    delivery = Delivery(headers=sample["headers"], body=Sample(sample["body"], sample["headers"]).encoded())
    reading = source.read_payload(source.reader.read(delivery), sample["headers"])
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
    assert record.contact.email
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


@pytest.mark.parametrize("written", FORMATS.values(), ids=lambda written: written.name)
def test_formats_are_documented(written: Format) -> None:
    assert re.match("https://", written.documentation)
    assert written.how.endswith(".")
    assert set(written.presets) <= PRESETS.keys()
    page = " ".join((ROOT / "docs" / "importing.md").read_text(encoding="utf-8").split())
    words = [f"`{written.name}`, {written.title}: {written.how}", *written.notes]
    assert " ".join(words) in page
