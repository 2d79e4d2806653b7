"""A new field of a contact leaves the records stored before unchanged."""

from dataclasses import dataclass

import pytest

from tests.world import ADA, CREATED, FAILED, World
from worker.model import Contact, Position, State, Status
from worker.store import record

NEW_FIELDS = (*record.FINGERPRINTS[""], "company")


@dataclass(frozen=True, slots=True)
class NewContact(Contact):
    """A contact as the next release may know it."""

    company: str | None = None

    def present(self) -> dict[str, str | int]:
        # Not super(): a dataclass with slots is another class than the one in which the method was written.
        return Contact.present(self) | ({"company": self.company} if self.company else {})


OLD = NewContact(**{name: getattr(ADA, name) for name in ("identifier", *record.FINGERPRINTS[""])})
WITH_COMPANY = NewContact("ada", 1, ADA.name, ADA.email, ADA.phone_number, ADA.avatar_url, "Analytical Engines")


def add_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "FINGERPRINTS", {**record.FINGERPRINTS, "2": NEW_FIELDS})
    monkeypatch.setattr(record, "Contact", NewContact)


def test_the_same_delivery_is_a_duplicate_of_a_record_with_an_old_fingerprint(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.accept(ADA)
    add_the_field(monkeypatch)
    assert world.accept(OLD).status is Status.DUPLICATE
    assert world.accept(WITH_COMPANY).status is Status.ACCEPTED, "the new field is newer data"
    assert world.accept(WITH_COMPANY).status is Status.DUPLICATE
    assert world.accept(OLD).status is Status.ACCEPTED


def test_a_repeated_delivery_after_created_is_no_newer_data(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.bring(ADA, CREATED)
    add_the_field(monkeypatch)
    world.accept(OLD)
    assert world.record("ada").newer_at is None
    world.accept(WITH_COMPANY)
    assert world.record("ada").newer_fields == ("company",)
    world.accept(OLD)
    assert world.record("ada").newer_at is None, "it is as it was sent again"


def test_newer_data_that_was_recorded_before_is_still_understood(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.bring(ADA, CREATED)
    world.accept(ADA.without("email"))
    add_the_field(monkeypatch)
    assert world.record("ada").newer_fields == ("email",)


def test_an_old_record_is_claimed_finished_and_edited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key = world.bring(ADA, FAILED)
    add_the_field(monkeypatch)
    stored = world.record("ada").contact
    assert stored == OLD
    assert world.store.contacts.edit(key, WITH_COMPANY, before=stored) == "retrying"
    assert world.finish(world.claim("ada", sends=False)).written
    assert world.record("ada").state is State.CREATED
    assert world.store.contacts.edit(key, OLD, before=OLD) == "created"


def test_reconcile_compares_what_an_old_fingerprint_knows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.bring(ADA, CREATED)
    add_the_field(monkeypatch)
    (created,) = world.store.lists.created(Position(), 10)
    shown = {"name": ADA.name, "email": "other@example.com", "company": "Analytical Engines"}
    assert created.differing(shown) == ["email"], "nobody knows whether it had a company"
    assert not created.is_bare


def test_the_newest_fingerprint_has_every_field() -> None:
    """A new field of ``Contact`` needs a new row; earlier rows must never change."""
    newest = list(record.FINGERPRINTS)[-1]
    assert set(record.FINGERPRINTS[newest]) == set(NewContact.__dataclass_fields__) - {"identifier", "company"}
    assert record.FINGERPRINTS[""] == ("inbox_id", "name", "email", "phone_number", "avatar_url")
