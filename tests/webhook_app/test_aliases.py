"""A contact shows whose identifier it has and its aliases; all are erased together."""

import html
import json
from collections.abc import Iterator

import pytest
import redis

from tests.invariants import assert_invariants
from tests.webhook_app.test_clashes import Clashes
from tests.world import CREATED
from webhook_app.access import Role
from webhook_app.dashboard import contact as module
from webhook_app.present.wording import erased
from worker.model import AttemptResult, Contact, Outcome, State
from worker.store import contacts, keys
from worker.store.contacts import Erased

KNOWN = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.KNOWN, status=200)


@pytest.fixture
def world(client: redis.Redis) -> Iterator[Clashes]:
    made = Clashes(client)
    yield made
    client.delete(keys.QUEUE)
    assert_invariants(client)


def know(world: Clashes, identifier: str, source: str = "form") -> str:
    """Add a contact that LiveDesk has under another identifier. Return its key."""
    world.advance(1)
    origin = world.parts.sources[source].origin
    world.store.contacts.accept(Contact(identifier, 1, email="ada@example.com"), origin)
    world.finish(world.claim(identifier, sends=False), KNOWN)
    return world.key(identifier)


def command(world: Clashes, *arguments: str) -> str:
    """Return what ``flask contacts show`` prints, without the alignment."""
    return " ".join(world.flask("contacts", "show", *arguments).stdout.split())


def test_a_contact_shows_its_class_and_id_spaces(world: Clashes) -> None:
    world.bring("ada", source="signup")
    world.accept(Contact("ada", 1, email="ada@example.com"), source="shop")
    text = world.words(f"contacts/{world.key('ada')}")
    assert "Identity class account: only the system that issues the identifiers can choose them" in text
    assert "Id spaces signup, shop" in text
    assert "Aliases" not in text
    key = know(world, "submission-1")
    assert "Identity class visitor: anybody can choose the identifier Id spaces form" in world.words(f"contacts/{key}")
    document = world.api(f"/contacts/{world.key('ada')}").get_json()
    assert (document["identity"], document["id_spaces"]) == ("account", ["signup", "shop"])
    assert (document["aliases"], document["alias_count"]) == ([], 0)
    shown = command(world, world.key("ada"))
    assert "identity account" in shown
    assert "id_spaces signup, shop" in shown


def test_aliases_are_shown_and_linked(world: Clashes) -> None:
    forms = [know(world, f"ada+{number}@example.com") for number in (1, 2)]
    ada = world.bring("ada", CREATED, source="signup")
    page = world.get(f"/dashboard/contacts/{forms[0]}")
    assert f'<a href="/dashboard/contacts/{ada}">ada</a></td><td class="quiet">signup</td><td>account</td>' in page
    assert page.index("has this identifier") < page.index("known under another identifier"), "LiveDesk's own first"
    assert "known: LiveDesk has this person under another identifier" in page
    found = world.api(f"/contacts/{ada}").get_json()
    assert [one["key"] for one in found["aliases"]] == forms
    assert found["aliases"][0] == {
        "key": forms[0],
        "identifier": "ada+1@example.com",
        "source": "form",
        "identity": "visitor",
        "outcome": "known",
    }
    shown = command(world, forms[0])
    assert f"alias ada ({ada}), account of signup, the identifier in LiveDesk" in shown
    assert f"alias a***@e***.com ({forms[1]}), visitor of form" in shown
    assert "@example.com" not in shown
    assert "ada+2@example.com" in command(world, "--reveal", forms[0])
    line = json.loads(world.flask("contacts", "show", "--json", ada).stdout)
    assert [one["identifier"] for one in line["aliases"]] == ["a***@e***.com"] * 2


def test_many_aliases_are_counted(world: Clashes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ALIASES", 2)
    monkeypatch.setattr(contacts, "MAX_ALIASES", 3)
    ada = world.bring("ada", CREATED, source="signup")
    for number in range(5):
        know(world, f"submission-{number}")
    text = world.words(f"contacts/{ada}")
    assert text.count("known under another identifier") == 2
    assert "and 3 more" in text
    found = world.api(f"/contacts/{ada}").get_json()
    assert (len(found["aliases"]), found["alias_count"]) == (3, 5)
    assert "alias and 2 more" in command(world, ada)


# Erasing


def test_a_page_says_how_many_aliases_are_erased(world: Clashes) -> None:
    ada = world.bring("ada", CREATED, source="signup")
    assert "about this person. LiveDesk keeps contact 7: delete it there, too." in world.words(f"contacts/{ada}")
    for number in range(2):
        know(world, f"submission-{number}")
    text = world.words(f"contacts/{ada}")
    assert "Deletes what is stored here about this person, also under 2 aliases." in text
    assert "Erase this contact and its 2 aliases permanently?" in text
    form = {"why": "she asked for it"}
    page = html.unescape(world.send(f"/dashboard/contacts/{ada}/erase", form, follow_redirects=True).text)
    assert "Erased, and 2 aliases. A new delivery with one of these identifiers will create a new contact." in page
    assert "LiveDesk still has contact 7: delete it there too." in page
    assert world.counts() == {}
    assert world.audited() == [("Ada the operator", "erased, with 2 aliases", ada, "she asked for it")]
    assert world.http.get(f"/dashboard/contacts/{ada}").status_code == 404


def test_a_contact_that_waits_can_be_erased_and_one_that_is_sent_cannot(world: Clashes) -> None:
    ada = world.bring("ada", source="signup")
    world.claim("ada")
    refused = world.send(f"/dashboard/contacts/{ada}/erase", follow_redirects=True)
    assert "An attempt is in progress" in refused.text
    assert world.api(f"/contacts/{ada}", method="DELETE").get_json()["reason"] == "busy"
    bob = world.bring("bob", source="signup")
    page = world.send(f"/dashboard/contacts/{bob}/erase", follow_redirects=True).text
    assert "Erased. A new delivery with this identifier will create a new contact." in page
    world.sign_in(Role.VIEWER)
    assert "Erase" not in world.words(f"contacts/{ada}")
    assert world.send(f"/dashboard/contacts/{ada}/erase").status_code == 403


def test_the_api_and_the_command_count_what_they_erase(world: Clashes) -> None:
    ada = world.bring("ada", CREATED, source="signup")
    know(world, "submission-1")
    answer = world.api(f"/contacts/{ada}?why=asked", method="DELETE")
    counts = {"aliases": 1, "quarantined": 0, "not_searched": 0}
    assert answer.get_json() == {"key": ada, "contact_id": 7, "unknown": False, **counts}
    assert world.audited() == [("ada (api)", "erased, with 1 alias", ada, "asked")]
    assert world.api(f"/contacts/{ada}", method="DELETE").status_code == 404
    world.bring("ada", CREATED, source="signup")
    know(world, "submission-1")
    before = world.flask("erase", "submission-1", "--dry-run").stdout
    assert before == "Would erase this contact and 1 alias. LiveDesk would keep contact 7.\n"
    assert world.counts() == {State.CREATED: 2}
    shown = world.flask("erase", "submission-1").stdout
    assert "Erased, and 1 alias. A new delivery with one of these identifiers" in shown
    assert world.counts() == {}


def test_what_is_left_to_do_after_an_erasure() -> None:
    assert erased(Erased("erased")) == ["Erased. A new delivery with this identifier will create a new contact."]
    assert "Search for the identifier in LiveDesk" in erased(Erased("erased", "", True))[1]
