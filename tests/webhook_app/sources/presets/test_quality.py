"""The quality scale: what each rule finds, and that the pages show it."""

from typing import Any, cast

import pytest

from webhook_app.sources.docs import CHECKLIST_PAGE, PAGE, checklist, with_checklist
from webhook_app.sources.presets import PRESETS, Preset
from webhook_app.sources.quality import MEANINGS, RULES, Quality, Tier, quality_of

#: A preset for which all rules hold.
BEST = "engagelab-otp"
GONE: Any = object()


def quality(**changes: Any) -> Quality:
    """The quality of the best preset with other keys in its file."""
    keys = {key: value for key, value in {**PRESETS[BEST], **changes}.items() if value is not GONE}
    return quality_of(BEST, cast(Preset, keys))


def test_the_best_preset_lacks_nothing() -> None:
    assert quality() == Quality(Tier.PLATINUM, {})


HMAC = {"scheme": "hmac", "header": "X-Signature"}
LACKING: list[tuple[dict[str, Any], Tier, dict[str, tuple[str, ...]]]] = [
    ({"console": ["Open the console."]}, Tier.NONE, {"console": ("",)}),
    ({"console": ["Send to it."], "snippet": ["sh", "curl {url}"]}, Tier.PLATINUM, {}),
    ({"identity_reason": "It is."}, Tier.NONE, {"identity": ("",)}),
    ({"secret_hint": "Shown on its page."}, Tier.BRONZE, {"secret": ("",)}),
    ({"secret_hint": "Shown on its page.", "secret_begins": ["whsec_"]}, Tier.PLATINUM, {}),
    ({"secret_hint": GONE}, Tier.PLATINUM, {}),
    ({"retries": GONE}, Tier.BRONZE, {"retries": ("",)}),
    ({"verify": HMAC}, Tier.BRONZE, {"signature": ("",), "published-vector": ("",)}),
    ({"verify": {"scheme": "token"}}, Tier.PLATINUM, {}),
    (
        {"only_if": {"$.status.message_status": ["verified", "checked", "sent"], "$.status.error_code": 0}},
        Tier.BRONZE,
        {"event-samples": ("checked",)},
    ),
    (
        {"deleted_if": {"$.response.event": "gone", "header:content-type": "text/xml"}},
        Tier.BRONZE,
        {"event-samples": ("gone", "text/xml")},
    ),
    ({"deleted_if": {"header:content-type": "application/json"}, "without_deletion": GONE}, Tier.PLATINUM, {}),
    ({"event_time": GONE}, Tier.SILVER, {"event-time": ("",)}),
    ({"event_time": GONE, "without_event_time": "It sends none."}, Tier.PLATINUM, {}),
    ({"without_deletion": GONE}, Tier.SILVER, {"deletion": ("",)}),
    (
        {"without_deletion": GONE, "retries": GONE, "console": []},
        Tier.NONE,
        {"console": ("",), "retries": ("",), "deletion": ("",)},
    ),
]


@pytest.mark.parametrize(
    ("changes", "tier", "lacks"),
    LACKING,
    ids=[f"{number}: {', '.join(case[0])}" for number, case in enumerate(LACKING)],
)
def test_a_missing_part_costs_its_tier_and_is_named(
    changes: dict[str, Any], tier: Tier, lacks: dict[str, tuple[str, ...]]
) -> None:
    assert quality(**changes) == Quality(tier, lacks)


@pytest.mark.parametrize(("names", "lacks"), [(["contact.created", "lead.created"], ()), (["a", "b"], ("a", "b"))])
def test_one_example_of_an_event_is_enough_where_it_has_any_name(names: list[str], lacks: tuple[str, ...]) -> None:
    found = quality_of("standard-webhooks", {**PRESETS["standard-webhooks"], "only_if": {"$.type": names}})
    assert found.lacks.get("event-samples", ()) == lacks


def test_a_sample_of_ones_own_is_not_published() -> None:
    assert "published-samples" in quality_of("generic-bearer").lacks


def test_a_published_vector_is_better_than_a_derived_one() -> None:
    for preset, lacks_published in (("paddle", False), ("lemonsqueezy", True)):
        found = quality_of(preset).lacks
        assert "signature" not in found
        assert ("published-vector" in found) == lacks_published


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_at_least_bronze(preset: str) -> None:
    found = quality_of(preset)
    assert found.tier >= Tier.BRONZE, found.lacks


# The pages


def test_the_page_shows_the_tier_of_every_preset_and_what_it_lacks() -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    for preset in PRESETS:
        found = quality_of(preset)
        assert f": `{preset}`, {found.tier.name.lower()}" in page
        assert (f"- `{preset}`, {found.tier.name.lower()}: {next(iter(found.lacks), '')}" in page) == bool(found.lacks)


def test_each_tier_has_a_meaning_and_rules() -> None:
    tiers = set(Tier) - {Tier.NONE}
    assert set(MEANINGS) == tiers == {rule.tier for rule in RULES}
    assert [rule.tier for rule in RULES] == sorted(rule.tier for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_the_checklist_is_up_to_date() -> None:
    page = CHECKLIST_PAGE.read_text(encoding="utf-8")
    assert checklist() in page
    assert page == with_checklist(page), "run: python -m webhook_app.sources.docs"
