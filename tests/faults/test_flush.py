"""What is demanded of a Redis that is flushed, and what is not."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.faults.flush import Flushed, broken_by
from tests.faults.inject import Injected
from tests.faults.plan import Fault
from tests.faults.sender import Parcel, Sent
from tests.livedesk import Contact, LedgerEntry

FLUSH = Injected(Fault(0, 0, "flush", "redis"), 10.0, 10.1)
CREATED = {"state": "created", "contact_id": 7}


def broken(
    tried: float, record: Mapping[str, Any] | None, creates: Sequence[int] = (7,), *, is_reported: bool = True
) -> list[str]:
    sent = Sent(Parcel(0, "ada", {}, 0, False), ["200"], tried + 0.2, "accepted", tried)
    return broken_by(
        Flushed(FLUSH, [sent], [], frozenset(), is_reported),
        {"ada": record},
        [LedgerEntry(1.0, "ada", contact_id, None, 1) for contact_id in creates],
        [Contact(contact_id, 1.0, "Ada", identifier="ada") for contact_id in creates],
    )


@pytest.mark.parametrize(
    ("tried", "record", "is_kept"),
    [(9.0, None, True), (9.0, CREATED, True), (10.05, None, True), (10.2, None, False), (10.2, CREATED, True)],
)
def test_who_was_acknowledged_before_may_be_lost_and_nobody_after(
    tried: float, record: Mapping[str, Any] | None, is_kept: bool
) -> None:
    assert (broken(tried, record) == []) == is_kept


@pytest.mark.parametrize("tried", [9.0, 11.0])
def test_nobody_is_created_twice(tried: float) -> None:
    assert len(broken(tried, CREATED, [7, 8])) >= 1


@pytest.mark.parametrize(("state", "contact_id"), [("pending", None), ("failed", None), ("created", 9)])
def test_who_is_known_must_be_right(state: str, contact_id: int | None) -> None:
    assert len(broken(9.0, {"state": state, "contact_id": contact_id})) == 1
