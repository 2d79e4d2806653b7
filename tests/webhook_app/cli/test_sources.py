"""``flask sources check`` and ``flask sources try``: warnings, and what a delivery leads to."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from webhook_app.cli import without_parts
from worker.errors import SettingsError

SECRET = "a-secret-that-is-long-enough"
SHOP = 'preset = "woocommerce"\nsecret = "$SHOP"\n'


@pytest.fixture
def app() -> Flask:
    """The commands without any valid configuration, as in a clone."""
    return without_parts(SettingsError(["LIVEDESK_API_KEY is not set."]))


@pytest.fixture
def run(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a sources file and run ``flask sources <arguments>``."""
    monkeypatch.setenv("SHOP", SECRET)
    monkeypatch.setenv("CLERK", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    monkeypatch.setenv("SOURCES_FILE", str(tmp_path / "sources.toml"))

    def run(text: str, *arguments: str, **options: Any) -> Result:
        (tmp_path / "sources.toml").write_text(text, encoding="utf-8")
        return app.test_cli_runner().invoke(args=["sources", *arguments], **options)

    return run


# check

WARNINGS = {
    "two shops with the same prefix": (
        f"[sources.one]\n{SHOP}[sources.two]\n{SHOP}",
        "[sources.two] id_prefix: the ids of this source and of [sources.one] are numbers, and two people can have",
    ),
    "two products without a prefix": (
        f'[sources.one]\n{SHOP}id_prefix = ""\n[sources.two]\npreset = "github"\nsecret = "$SHOP"\nid_prefix = ""\n',
        "[sources.two] id_prefix:",
    ),
    "a form in the id space of an account": (
        '[sources.app]\nverify = "token"\nsecret = "$SHOP"\n[sources.form]\npreset = "tally"\nsecret = "$SHOP"\n'
        'id_space = "app"\n',
        "[sources.form] id_space: a visitor can choose these identifiers",
    ),
    "a secret in the file": (
        f'[sources.one]\nverify = "token"\nsecret = "{SECRET}"\n',
        "[sources.one] secret is written into the file",
    ),
    "a path of map without a value": (
        f'[sources.one]\n{SHOP}[sources.one.map]\nemail = "$.emial"\n',
        "[sources.one] map.email: $.emial finds nothing in the sample of the preset woocommerce; did you mean $.email?",
    ),
    "a part of a name": (
        f'[sources.one]\n{SHOP}[sources.one.map]\nname = {{ join = ["$.firstname", "$.lastname"] }}\n',
        "map.name: $.firstname finds nothing in the sample of the preset woocommerce; did you mean $.first_name?",
    ),
    "a place of the contact": (
        '[sources.one]\npreset = "clerk"\nsecret = "$CLERK"\ncontact = "$.dta"\n',
        "contact: $.dta finds nothing in the sample of the preset clerk; did you mean $.data",
    ),
    "a hidden field of a form": (
        '[sources.one]\npreset = "typeform"\nsecret = "$SHOP"\nmap = { identifier = "$.hidden.user_id" }\n',
        "[sources.one] map.identifier: a visitor can choose it",
    ),
    "the time of an event": (
        f'[sources.one]\n{SHOP}event_time = ["$.date_modifed_gmt", "$.changed"]\n',
        "[sources.one] event_time: $.date_modifed_gmt finds nothing in the sample of the preset woocommerce",
    ),
    "a visitor's conflict": (
        '[sources.one]\npreset = "typeform"\nsecret = "$SHOP"\non_conflict = "ask"\n',
        "[sources.one] on_conflict: has no effect, because a visitor never changes a contact in LiveDesk",
    ),
    "deletions that nothing names": (
        '[sources.one]\nverify = "token"\nsecret = "$SHOP"\non_delete = "mark"\nmap = { identifier = "$.id" }\n',
        '[sources.one] on_delete: has no effect, because nothing says which deliveries are deletions; set "deleted_if"',
    ),
    "a condition without a value": (
        f'[sources.one]\n{SHOP}[sources.one.only_if]\n"$.rol" = "customer"\n',
        'only_if."$.rol": $.rol finds nothing in the sample of the preset woocommerce; did you mean $.role?',
    ),
}


@pytest.mark.parametrize(("text", "sentence"), WARNINGS.values(), ids=list(WARNINGS))
def test_a_warning_names_line_and_key_and_is_no_mistake(text: str, sentence: str, run: Any) -> None:
    result = run(text, "check")
    assert result.exit_code == 0, result.output
    [line, *_, last] = [line for line in result.output.splitlines() if sentence in line or line.startswith("OK")]
    assert ": warning: " in line
    number = int(line.split("sources.toml:")[1].split(":")[0])
    assert 0 < number <= len(text.splitlines())
    assert last.startswith("OK: ")
    assert "warning" in last
    assert SECRET not in result.output
    assert run(text, "check", "--strict").exit_code == 1


@pytest.mark.parametrize(
    "text",
    [
        f'[sources.one]\n{SHOP}[sources.two]\n{SHOP}id_prefix = "two-"\n',
        f'[sources.one]\n{SHOP}id_space = "shop"\n[sources.two]\n{SHOP}id_space = "shop"\n',
        f'[sources.one]\n{SHOP}[sources.two]\npreset = "wordpress"\nsecret = "$SHOP"\n',
        f'[sources.one]\n{SHOP}[sources.one.map]\nemail = ["$.other", "$.email"]\n',
        '[sources.one]\npreset = "stripe"\nsecret = "$CLERK"\nmap = { identifier = "$.metadata.user_id" }\n',
        '[sources.one]\npreset = "typeform"\nsecret = "$SHOP"\n'
        "map = { name = \"$.answers[?@.field.ref == 'vorname'].text\" }\n",
        '[sources.one]\npreset = "typeform"\nsecret = "$SHOP"\nidentity = "visitor"\n'
        'map = { identifier = "$.hidden.user_id" }\n',
        f'[sources.one]\n{SHOP}[sources.one.ignore_if]\n"$.deleted" = {{ exists = false }}\n',
    ],
)
def test_what_is_meant_is_no_warning(text: str, run: Any) -> None:
    result = run(text, "check", "--strict")
    assert result.exit_code == 0
    assert "warning" not in result.output


# try


def test_the_sample_of_a_preset_is_shown(run: Any) -> None:
    result = run(f"[sources.one]\n{SHOP}", "try", "one")
    assert result.exit_code == 0
    assert "The sample of the preset woocommerce, as one to one (account, id space one)" in result.output
    assert re.search("identifier +woo-[0-9]+\n", result.output)
    assert "email" in result.output


def test_what_happens_with_conflicts_changes_and_deletions_is_listed(run: Any) -> None:
    text = (
        '[sources.form]\npreset = "typeform"\nsecret = "$SHOP"\non_conflict = "ask"\n'
        f'[sources.shop]\n{SHOP}on_delete = "mark"\n'
    )
    listed = {one["name"]: one for one in json.loads(run(text, "--json").stdout)}
    shown = {name: (one["on_conflict"], one["on_change"], one["on_delete"]) for name, one in listed.items()}
    assert shown == {"form": ("known", "note", "ignore"), "shop": ("ask", "update", "mark")}
    assert re.search(r"on_delete +mark", run(text).stdout)


APP = '[sources.app]\nverify = "token"\nsecret = "$SHOP"\n'
UPDATED = {
    "type": "user.updated",
    "timestamp": "2026-01-01T10:00:00Z",
    "data": {
        "identifier": "7",
        "name": "Ada",
        "email": None,
        "custom_attributes": {"plan": "gold", "seats": 5, "x": ""},
    },
}


def test_a_change_shows_what_happened_and_what_is_gone(run: Any) -> None:
    result = run(APP, "try", "app", "--body", "-", "--json", input=json.dumps(UPDATED))
    [found] = json.loads(result.stdout)
    assert found["event"] == {"name": "user.updated", "time": "2026-01-01T10:00:00.000+00:00"}
    assert found["is_deletion"] is False
    assert found["cleared"] == ["custom_attributes.x", "email"]
    assert found["contact"]["custom_attributes"] == {"plan": "gold", "seats": 5}
    shown = run(APP, "try", "app", "--body", "-", input=json.dumps(UPDATED)).stdout
    for row in (
        r"custom_attributes\.seats +5",
        r"cleared +email",
        r"event +user\.updated",
        r"event time +2026-01-01T10",
    ):
        assert re.search(row, shown), shown


def test_a_deletion_is_shown_or_why_it_is_ignored(run: Any) -> None:
    body = json.dumps({**UPDATED, "type": "user.deleted"})
    ignored = run(APP, "try", "app", "--body", "-", input=body)
    assert "Ignored, because it is not a signup:" in ignored.stdout
    assert 'on_delete = "ignore": the delivery says that the person was deleted' in ignored.stdout
    marked = run(f'{APP}on_delete = "mark"\n', "try", "app", "--body", "-", input=body)
    assert "The deletion of a contact (on_delete = mark):" in marked.stdout
    assert "Ada" not in marked.stdout


def test_the_sample_of_another_event_must_exist(run: Any) -> None:
    result = run(f"[sources.one]\n{SHOP}", "try", "one", "--event", "customer.vanished")
    assert result.exit_code == 2
    assert "The preset woocommerce has no sample of 'customer.vanished', but of " in result.output
    assert run(f"[sources.one]\n{SHOP}", "try", "one", "--event", "customer.created").exit_code == 0


def test_a_path_of_an_attribute_that_finds_nothing_is_a_warning(run: Any) -> None:
    text = f'[sources.one]\n{SHOP}[sources.one.map.custom_attributes]\nrole = "$.rol"\nvip = "$.is_paying_customer"\n'
    result = run(text, "check")
    assert "map.custom_attributes.role: $.rol finds nothing in the sample" in result.output
    assert "vip" not in result.output


def test_a_delivery_shows_contact_and_notes(run: Any) -> None:
    body = {"identifier": " 7 ", "email": "not an address", "name": "Ada"}
    result = run('[sources.app]\nverify = "token"\nsecret = "$SHOP"\nid_prefix = "app-"\n', "try", "app", "--body", "-",
                 "--json", input=json.dumps(body))  # fmt: skip
    [found] = json.loads(result.stdout)
    assert found["result"] == "contact"
    assert found["contact"] == {"identifier": "app-7", "name": "Ada"}
    assert found["notes"] == [{"field": "email", "text": "left out: not an e-mail address"}]


def test_what_is_ignored_says_which_condition(run: Any, tmp_path: Path) -> None:
    text = '[sources.one]\npreset = "clerk"\nsecret = "$SHOP"\n[sources.one.ignore_if]\n"$.data.banned" = true\n'
    body = tmp_path / "body.json"
    body.write_text('{"type": "user.deleted", "data": {"banned": true}}')
    result = run(text, "try", "one", "--body", str(body))
    assert result.exit_code == 0
    assert 'only_if."$.type" = ["user.created", "user.updated"]: the delivery has "user.deleted"' in result.output
    assert 'ignore_if."$.data.banned" = true: the delivery has true' in result.output


@pytest.mark.parametrize(
    ("source", "body", "words"),
    [
        ("app", '{"id": "undefined"}', "Kept in quarantine:"),
        ("signup", '{"name": "Ada"}', "Rejected with 422:"),
        ("one", '{"id": 1', "The delivery would be answered 400: the body is not JSON"),
    ],
)
def test_a_delivery_without_a_usable_contact(source: str, body: str, words: str, run: Any) -> None:
    text = f'[sources.one]\n{SHOP}[sources.app]\npreset = "generic-bearer"\nsecret = "$SHOP"\n'
    result = run(text, "try", source, "--body", "-", input=body)
    assert result.exit_code == 1
    assert words in result.output


def test_each_element_of_a_batch_is_shown(run: Any) -> None:
    batch = [{"identifier": "a"}, {"identifier": ""}, {"identifier": "b"}]
    text = '[sources.app]\nverify = "token"\nsecret = "$SHOP"\n'
    result = run(text, "try", "app", "--body", "-", "--json", input=json.dumps(batch))
    assert [one["result"] for one in json.loads(result.stdout)] == ["contact", "quarantine", "contact"]
    assert result.exit_code == 1


def test_headers_belong_to_the_delivery(run: Any) -> None:
    text = '[sources.gh]\npreset = "github"\nsecret = "$SHOP"\n'
    body = json.dumps({"action": "added", "member": {"id": 5, "login": "octo"}})
    result = run(text, "try", "gh", "--body", "-", "--header", "x-github-event: member", "--json", input=body)
    assert json.loads(result.stdout)[0]["contact"]["identifier"].endswith("5")
    ignored = run(text, "try", "gh", "--body", "-", "--json", input=body)
    assert json.loads(ignored.stdout)[0]["why"][0].startswith('only_if."header:X-GitHub-Event"')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shpo"], 'There is no source shpo; did you mean "shop"?'),
        (["shop", "--body", "/nowhere/at.all"], "No such file"),
        (["shop", "--header", "novalue", "--body", "-"], "must be NAME: VALUE"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, run: Any) -> None:
    result = run(f"[sources.shop]\n{SHOP}", "try", *arguments, input="{}")
    assert result.exit_code == 2
    assert words in result.output


def test_mistakes_of_the_source_are_named(run: Any) -> None:
    result = run(f'[sources.shop]\n{SHOP}identity = "nobody"\nregion = "XX"\n', "try", "shop")
    assert result.exit_code == 2
    assert "identity: must be" in result.output
    assert "region: must be" in result.output
