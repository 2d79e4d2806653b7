"""A clash is shown with both sources, and an operator resolves it."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.clashes import SECRET, clash, waiting
from tests.invariants import assert_invariants
from tests.world import CREATED, DashboardWorld
from webhook_app.access import Role
from webhook_app.operator import quarantine
from webhook_app.operator.quarantine import join, keep_apart
from webhook_app.present.wording import clashing, code_spans, explain_clash
from worker.model import Contact, Quarantined
from worker.store import quarantine as store_quarantine

MAPPED = {"identifier": "$.id", "name": "$.name", "email": "$.email"}
APP: dict[str, Any] = {"verify": "token", "secret": SECRET, "inbox_id": 1, "map": MAPPED}
SOURCES = {"signup": APP, "shop": APP, "form": {**APP, "identity": "visitor"}}
TOKEN = "open-sesame-open"


class Clashes(DashboardWorld):
    """An installation with three sources, an operator who is signed in, and the API."""

    def __init__(self, client: redis.Redis, sources: dict[str, dict[str, Any]] = SOURCES) -> None:
        super().__init__(client, sources=sources, api_token=TOKEN)
        self.sign_in()

    def api(self, path: str, document: Any = None, method: str = "") -> Any:
        """Get, or post a document to, an address of the API."""
        options: dict[str, Any] = {"method": method or ("GET" if document is None else "POST"), "json": document}
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Operator": "ada"}
        return self.http.open(f"/api/v1{path}", headers=headers, **options)

    def words(self, path: str) -> str:
        """Return the visible text of a page of the dashboard."""
        text = re.sub(r"<[^>]*>", " ", self.get(f"/dashboard/{path}").partition("<main")[2])
        return " ".join(html.unescape(text).split())

    def audited(self) -> list[tuple[str, str, str, str]]:
        return [
            (one.who, one.did, one.target, one.why)
            for one in self.store.audit.page()
            if not one.did.startswith("signed ")
        ]

    def emails(self, *identifiers: str) -> list[str | None]:
        """Return the addresses of these contacts, which LiveDesk does not have yet."""
        return [record.contact.email if record.contact else None for record in map(self.record, identifiers)]


@pytest.fixture
def world(client: redis.Redis) -> Iterator[Clashes]:
    made = Clashes(client)
    yield made
    client.delete("{lds}:create")
    assert_invariants(client)


# Shown


def test_a_clash_in_words() -> None:
    assert explain_clash("wordpress", "github") == (
        "The identifier of this delivery from `wordpress` belongs to a person of `github`, "
        "and neither e-mail address nor phone number agrees."
    )
    assert explain_clash("a", "b", many=True).startswith(
        "The identifiers of these deliveries from `a` belong to people of"
    )
    assert "sent before its `id_space` was changed" in explain_clash("shop", "shop")
    assert [clashing(number) for number in (1, 1204)] == ["1 delivery clashes", "1,204 deliveries clash"]
    assert '`id_prefix = "wp-\\""` to `[sources.wordpress]`' in keep_apart("wordpress", 'wp-"')
    assert '`id_space = "github"` to `[sources.app]`' in join("app", "github", "github")
    assert code_spans("`a` <b> `c`") == "<code>a</code> &lt;b&gt; <code>c</code>"


def test_the_situation_has_clashes(world: Clashes) -> None:
    assert world.api("/situation").get_json()["clashes"] == []
    for identifier in ("7", "8"):
        clash(world.parts, identifier)
    assert world.api("/situation").get_json()["clashes"] == [{"source": "shop", "other": "signup", "waiting": 2}]


def test_doctor_warns_of_clashes(world: Clashes) -> None:
    assert "clashes" not in world.flask("doctor").stdout
    clash(world.parts)
    shown = world.flask("doctor").stdout
    assert "warning clashes      1 delivery clashes: shop uses identifiers of people of signup." in shown
    assert "-> Run flask quarantine list --clash shop signup." in shown


def test_many_clashes_of_two_sources_leave_room_for_others(world: Clashes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_quarantine, "MAX_ENTRIES", 2)
    headers = {"Authorization": f"Bearer {SECRET}"}

    def post(source: str, payload: object) -> int:
        return world.http.post(f"/webhooks/{source}", json=payload, headers=headers).status_code

    for identifier in ("7", "8", "9"):
        world.bring(identifier, source="signup", email=f"ada-{identifier}@example.com")
    statuses = [post("shop", {"id": identifier, "email": "bob@example.com"}) for identifier in ("7", "8", "9", "7")]
    assert statuses == [200, 200, 503, 200], "the last one is there already"
    assert [post("signup", {"email": f"{name}@example.com"}) for name in ("a", "b", "c")] == [200, 200, 200]
    assert post("form", {"id": "7", "email": "mallory@example.net"}) == 200
    assert {one.pair: one.waiting for one in waiting(world.parts)} == {("form", "signup"): 1, ("shop", "signup"): 2}
    assert world.store.quarantine.size() == 5


def test_deliveries_of_one_pair_are_listed(world: Clashes) -> None:
    entries = [clash(world.parts, f"1{number}") for number in range(3)]
    other = clash(world.parts, "9", "signup", "shop")
    listed = world.store.quarantine.page
    assert [one.entry for one in listed(clash=("shop", "signup"))] == entries
    assert [one.entry for one in listed(clash=("shop", "signup"), offset=1, limit=1)] == entries[1:2]
    assert [one.entry for one in listed(clash=("signup", "shop"))] == [other]
    assert listed(clash=("shop", "form")) == []
    assert json.loads(listed(clash=("signup", "shop"))[0].payload)["id"] == "9"


def test_a_page_explains_a_clash_and_masks_both_people(world: Clashes) -> None:
    entry = clash(world.parts)
    page = world.get(f"/dashboard/sources/quarantine/{entry}")
    assert (
        "The identifier of this delivery from <code>shop</code> belongs to a person of <code>signup</code>, "
        "and neither e-mail address nor phone number agrees."
    ) in page
    assert f'href="/dashboard/contacts/{world.key("7")}"' in page
    assert "b***@e***.com" in page
    assert "a***@e***.com" in page
    assert "@example.com" not in page
    assert "has no usable contact" not in page
    text = world.words("sources/quarantine?source=shop&other=signup")
    assert "Resolve it Replay as configured now Open a few deliveries first" in text
    assert "The identifier of this delivery" in text
    assert "can choose identifiers" not in page
    assert "Clashes with signup: the identifier belongs to another person" in text
    world.sign_in(Role.VIEWER)
    assert "Replay as" not in world.words(f"sources/quarantine/{entry}")
    assert "Replay 1 " not in world.words("sources/quarantine?source=shop&other=signup")


def test_what_livedesk_has_is_not_shown_as_missing(world: Clashes) -> None:
    world.bring("7", CREATED, source="signup")
    entry = clash(world.parts, known=True)
    text = world.words(f"sources/quarantine/{entry}")
    assert "deleted here" in text
    assert "LiveDesk has it as contact 7." in text
    world.store.contacts.erase(world.key("7"))
    assert "No contact has the identifier any more: replay the delivery." in world.words(f"sources/quarantine/{entry}")


def test_the_quarantine_is_filtered_by_a_pair(world: Clashes) -> None:
    for number in range(3):
        clash(world.parts, f"1{number}")
    clash(world.parts, "9", "signup", "shop")
    text = world.words("sources/quarantine")
    assert "All 4 shop with signup 3 signup with shop 1" in text
    assert "1 to 3 of 3, oldest first" in world.words("sources/quarantine?source=shop&other=signup")
    assert "1 to 1 of 1, oldest first" in world.words("sources/quarantine?source=signup&other=shop")
    assert "No clashes" in world.words("sources/quarantine?source=form&other=shop")
    assert "1 to 4 of 4" in world.words("sources/quarantine?source=shop"), "both are needed"
    listed = world.api("/quarantine?source=signup&clashes_with=shop").get_json()["deliveries"]
    assert [one["clashes_with"] for one in listed] == ["shop"]
    assert listed[0]["explanation"] == explain_clash("signup", "shop")
    alone = world.api("/quarantine?source=signup")
    assert (alone.status_code, alone.get_json()["errors"]) == (
        422,
        {"clashes_with": "is required with the other source"},
    )


def test_a_source_shows_its_clashes(world: Clashes) -> None:
    clash(world.parts)
    page = world.words("sources")
    assert "Clashes Waiting Last hour Total deliveries of shop with its people 1 1 1" in page
    assert "Clashes Waiting Last hour Total its deliveries with people of signup 1 1 1" in page
    found = {one["name"]: one["clashes"] for one in world.api("/sources").get_json()["sources"]}
    assert found["shop"] == [{"clashes_with": "signup", "waiting": 1, "ever": 1, "last_hour": 1}]
    assert found["signup"] == found["form"] == []


def test_a_form_with_the_identifier_of_an_account_is_on_the_overview(world: Clashes) -> None:
    """Nobody is overwritten, nobody is lost, and the visitor learns nothing."""
    world.bring("user-77", source="signup", email="ada@example.com")
    payload = {"id": "user-77", "email": "mallory@example.net"}
    headers = {"Authorization": f"Bearer {SECRET}"}
    answer = world.http.post("/webhooks/form", json=payload, headers=headers)
    assert answer.get_json() == {"status": "accepted", "identifier": "user-77", "state": None, "contact_id": None}
    assert world.emails("user-77") == ["ada@example.com"]
    assert "form signup 1 Resolve" in world.words("")
    assert [json.loads(one.payload) for one in world.store.quarantine.page()] == [payload]


# Resolved


def resolve(world: Clashes, entry: str, **form: str) -> str:
    """Resolve a clash on the page of a delivery. Return the page after it."""
    path = f"/dashboard/sources/quarantine/{entry}/replay"
    return html.unescape(world.send(path, form, follow_redirects=True).text)


def test_two_people_become_two_contacts(world: Clashes) -> None:
    entry = clash(world.parts)
    page = resolve(world, entry, decision="two people", id_prefix="shop-", why="they told us")
    assert "Replayed: accepted. So that this does not recur" in page
    assert 'add <code>id_prefix = "shop-"</code> to <code>[sources.shop]</code> in sources.toml' in page
    assert world.emails("7", "shop-7") == ["ada-7@example.com", "bob-7@example.com"]
    assert (world.store.quarantine.size(), waiting(world.parts)) == (0, [])
    assert world.audited() == [
        ("Ada the operator", "replayed a delivery in quarantine: two people, prefix shop-", entry, "they told us")
    ]


def test_the_same_person_is_let_through(world: Clashes) -> None:
    entry = clash(world.parts)
    page = resolve(world, entry, decision="same person")
    assert 'add <code>id_space = "signup"</code> to <code>[sources.shop]</code> in sources.toml' in page
    assert world.emails("7") == ["bob-7@example.com"]
    assert world.record("7").id_spaces == ("signup", "shop")
    assert (world.store.quarantine.size(), waiting(world.parts)) == (0, [])
    assert [did for _, did, _, _ in world.audited()] == ["replayed a delivery in quarantine: the same person"]


def test_a_visitor_changes_nothing_even_as_the_same_person(world: Clashes) -> None:
    entry = clash(world.parts, source="form")
    assert "which keeps its data, because visitors can send anything" in world.words(f"sources/quarantine/{entry}")
    resolve(world, entry, decision="same person")
    assert world.emails("7") == ["ada-7@example.com"]
    assert world.store.quarantine.size() == 0


def test_the_source_that_visitors_fill_in_gets_the_prefix(world: Clashes) -> None:
    """A visitor took the identifier of an account: that must not cost the account its own."""
    world.store.contacts.accept(Contact("7", 1, email="mallory@example.net"), world.parts.sources["form"].origin)
    entry = clash(world.parts, "7", "shop", "form")
    text = world.words(f"sources/quarantine/{entry}")
    assert "Visitors of form can choose identifiers: somebody may have taken this one." in text
    page = resolve(world, entry, decision="two people", id_prefix="shop-")
    assert 'add <code>id_prefix = "form-"</code> to <code>[sources.form]</code>' in page


@pytest.mark.parametrize("prefix", ["", " ", "a b", "x" * 65, "\u00e9-"])
def test_a_prefix_is_checked_like_that_of_a_source(prefix: str, world: Clashes) -> None:
    entry = clash(world.parts)
    assert "Not replayed: id_prefix " in resolve(world, entry, decision="two people", id_prefix=prefix)
    answer = world.api(f"/quarantine/{entry}/replay", {"id_prefix": prefix})
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["id_prefix"])
    result = world.flask("quarantine", "replay", entry, "--two-people", prefix)
    assert (result.exit_code, "id_prefix: " in result.stderr) == (2, True)
    assert (world.store.quarantine.size(), world.audited()) == (1, [])


def test_a_prefix_that_the_source_has_by_now_is_not_added_twice(world: Clashes) -> None:
    entries = [clash(world.parts, f"1{number}") for number in range(2)]
    world = Clashes(world.client, {**SOURCES, "shop": {**APP, "id_prefix": "shop-"}})
    page = world.words(f"sources/quarantine/{entries[0]}")
    assert "The source has the prefix shop- by now: Replay is enough." in page
    assert world.api(f"/quarantine/{entries[0]}/replay", {"id_prefix": "shop-"}).get_json()["status"] == "accepted"
    assert world.api(f"/quarantine/{entries[1]}/replay", {}).get_json() == {"status": "accepted", "advice": None}
    assert world.emails("shop-10", "shop-11") == ["bob-10@example.com", "bob-11@example.com"]


def test_a_pair_is_replayed_as_its_source_is_configured_now(world: Clashes) -> None:
    for number in range(2):
        clash(world.parts, f"1{number}")
    world = Clashes(world.client, {**SOURCES, "shop": {**APP, "id_space": "signup"}})
    form = {"source": "shop", "other": "signup"}
    page = world.send("/dashboard/sources/quarantine/replay", form, follow_redirects=True).text
    assert "2 accepted, 0 still in quarantine. All were replayed.</p>" in page, "without advice"
    assert world.emails("10", "11") == ["bob-10@example.com", "bob-11@example.com"]
    assert world.audited() == [("Ada the operator", "replayed the clashes of shop with signup", "", "")]


def test_a_source_can_clash_with_its_own_past(world: Clashes) -> None:
    """It had another id space: what it sent before belongs to that one."""
    world.bring("7", source="shop", email="ada@example.com")
    world = Clashes(world.client, {**SOURCES, "shop": {**APP, "id_space": "signup"}})
    entry = clash(world.parts, "7", "shop", "shop", known=True)
    text = world.words(f"sources/quarantine/{entry}")
    assert "belongs to a person that this source sent before its id_space was changed" in text
    assert "If every identifier" not in text
    answer = world.api(f"/quarantine/{entry}/replay", {"same_person": True}).get_json()
    assert answer == {"status": "accepted", "advice": None}
    assert world.record("7").id_spaces == ("shop", "signup")


def test_a_replay_without_a_decision_still_clashes(world: Clashes) -> None:
    entry = clash(world.parts)
    assert "Not replayed: identifier belongs to another person" in resolve(world, entry)
    assert world.api(f"/quarantine/{entry}/replay", {}).status_code == 422
    assert world.flask("quarantine", "replay", entry).exit_code == 1
    assert [one.waiting for one in waiting(world.parts)] == [1]


def test_all_deliveries_of_a_pair_in_shares(world: Clashes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_REPLAYED", 3)
    for number in range(5):
        clash(world.parts, f"1{number}")
    clash(world.parts, "9", "signup", "shop")
    form = {"source": "shop", "other": "signup", "decision": "two people", "id_prefix": "s-", "why": "two systems"}
    path = "/dashboard/sources/quarantine/replay"
    bad = html.unescape(world.send(path, {**form, "id_prefix": ""}, follow_redirects=True).text)
    assert "Nothing was replayed: id_prefix: is required." in bad
    first = html.unescape(world.send(path, form, follow_redirects=True).text)
    assert "3 accepted, 0 still in quarantine. 2 not replayed yet: replay them next. So that" in first
    assert "Resolve all 2" in first, "the page of the pair"
    second = html.unescape(world.send(path, form, follow_redirects=True).text)
    assert "2 accepted, 0 still in quarantine. All were replayed." in second
    assert [one.pair for one in waiting(world.parts)] == [("signup", "shop")]
    assert world.emails("s-10", "s-14", "10") == ["bob-10@example.com", "bob-14@example.com", "ada-10@example.com"]
    did = "replayed the clashes of shop with signup: two people, prefix s-"
    assert world.audited() == [("Ada the operator", did, "", "two systems")] * 2


def test_the_api_resolves_all_of_a_pair_in_shares(world: Clashes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_REPLAYED", 2)
    for number in range(3):
        clash(world.parts, f"1{number}")
    pair = {"source": "shop", "clashes_with": "signup"}
    undecided = world.api("/quarantine/replay", pair).get_json()
    assert undecided == {"statuses": {}, "failed": 2, "remaining": 1, "advice": None}
    resolved = world.api("/quarantine/replay", {**pair, "same_person": True, "why": "one system"}).get_json()
    assert (resolved["statuses"], resolved["failed"], resolved["remaining"]) == ({"accepted": 2}, 0, 1)
    assert '`id_space = "signup"` to `[sources.shop]`' in resolved["advice"]
    last = world.api("/quarantine/replay", {**pair, "id_prefix": "s-"}).get_json()
    assert (last["statuses"], last["remaining"]) == ({"accepted": 1}, 0)
    did = "replayed the clashes of shop with signup"
    assert [(who, what, why) for who, what, _, why in world.audited()] == [
        ("ada (api)", f"{did}: two people, prefix s-", ""),
        ("ada (api)", f"{did}: the same person", "one system"),
        ("ada (api)", did, ""),
    ]


def test_the_api_resolves_one_clash(world: Clashes) -> None:
    entry = clash(world.parts)
    shown = world.api(f"/quarantine/{entry}").get_json()
    assert (shown["clashes_with"], shown["payload"]) == ("signup", None)
    both = world.api(f"/quarantine/{entry}/replay", {"id_prefix": "s-", "same_person": True})
    assert (both.status_code, both.get_json()["errors"]) == (422, {"id_prefix": "cannot be used with same_person"})
    answer = world.api(f"/quarantine/{entry}/replay", {"id_prefix": "s-", "why": "two systems"}).get_json()
    assert answer["status"] == "accepted"
    assert '`id_prefix = "s-"` to `[sources.shop]`' in answer["advice"]
    assert world.audited() == [
        ("ada (api)", "replayed a delivery in quarantine: two people, prefix s-", entry, "two systems")
    ]


def test_only_a_clash_can_be_decided(world: Clashes) -> None:
    world.store.quarantine.add(Quarantined(source="shop", payload="{}", problems={"identifier": "missing"}, headers={}))
    [one] = world.store.quarantine.page()
    refused = world.api(f"/quarantine/{one.entry}/replay", {"same_person": True})
    assert (refused.status_code, refused.get_json()["reason"]) == (409, "no_clash")
    result = world.flask("quarantine", "replay", one.entry, "--same-person")
    assert (result.exit_code, "does not clash" in result.stderr) == (1, True)
    assert (world.store.quarantine.size(), world.audited()) == (1, [])


def test_commands_list_and_resolve_clashes(world: Clashes) -> None:
    entries = [clash(world.parts, f"1{number}") for number in range(3)]
    listed = world.flask("quarantine", "list").stdout
    assert listed.count("clashes with signup") == 3
    assert "3 deliveries clash: shop uses identifiers of people of signup." in listed
    assert "Two people:      flask quarantine replay --clash shop signup --two-people shop-" in listed
    assert world.flask("quarantine", "list", "--clash", "signup", "shop").stdout == "There are no such clashes.\n"
    shown = world.flask("quarantine", "show", entries[0]).stdout
    assert explain_clash("shop", "signup") in shown
    assert f"The same person: flask quarantine replay {entries[0]} --same-person" in shown
    one = world.flask("quarantine", "replay", entries[0], "--same-person", "--who", "ada", "--why", "one system")
    assert one.exit_code == 0
    assert one.stdout.startswith("1 accepted, 0 duplicate, 0 ignored, 0 still in quarantine\n")
    assert '`id_space = "signup"`' in one.stdout
    rest = world.flask("quarantine", "replay", "--clash", "shop", "signup", "--two-people", "shop-")
    assert rest.exit_code == 0
    assert rest.stdout.startswith("2 accepted, 0 duplicate, 0 ignored, 0 still in quarantine\n")
    assert '`id_prefix = "shop-"` to `[sources.shop]`' in rest.stdout
    assert world.emails("10", "shop-11", "shop-12") == [f"bob-1{number}@example.com" for number in range(3)]
    assert world.audited() == [
        ("command line", "replayed the clashes of shop with signup: two people, prefix shop-", "", ""),
        ("ada", "replayed a delivery in quarantine: the same person", entries[0], "one system"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["x", "--clash", "shop", "signup"],
        ["x", "--same-person", "--two-people", "s-"],
        ["--all", "--same-person"],
        ["--same-person"],
    ],
)
def test_wrong_usage_of_replay(arguments: list[str], world: Clashes) -> None:
    clash(world.parts)
    assert world.flask("quarantine", "replay", *arguments).exit_code == 2
    assert [one.waiting for one in waiting(world.parts)] == [1]
