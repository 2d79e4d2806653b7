"""The people who sign up in a run.

Their texts are recognisable wherever they appear (I7).
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.plan import Delivery

#: In every identifier, name and address; no word of ours or of a library.
CANARY = "kanarienvogel"
#: In every secret that the run makes up.
SECRET_CANARY = "Geheimnisvogel"
#: One person in this number has the address of the previous one; LiveDesk accepts only one of them.
SHARES_ADDRESS = 50
#: One person in this number has no address.
NO_ADDRESS = 12
#: When the first event of everybody happened. Long ago, because a receiver whose clock is a month slow takes no time of
#: an event that is still to come.
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)


def identifier(seed: int, person: int) -> str:
    return f"{CANARY}-{seed}-{person}"


def body(seed: int, delivery: Delivery) -> dict[str, Any]:
    """Return the body of a delivery: an event with its own time, or a bare contact without."""
    if delivery.timeless:
        return signup(seed, delivery.person, delivery.version)
    at = BEGINNING + timedelta(seconds=delivery.happened)
    kind = "user.deleted" if delivery.deletes else "user.updated" if delivery.version else "user.created"
    person = {"identifier": identifier(seed, delivery.person)}
    data = person if delivery.deletes else signup(seed, delivery.person, delivery.version)
    return {"type": kind, "timestamp": at.isoformat(), "data": data}


def signup(seed: int, person: int, version: int) -> dict[str, Any]:
    """Return the data of a person; a later version differs, and mentions each field."""
    dice = random.Random(f"{seed} {person} {version}")
    made: dict[str, Any] = {
        "identifier": identifier(seed, person),
        "name": f"{dice.choice(('Zoë', 'Łukasz', '王', 'Ada', 'Jürgen'))} {CANARY.title()} {person} v{version}",
        "custom_attributes": {"plan": f"{CANARY} {version}"},
        "phone_number": None,
    }
    address = email(seed, person, version)
    if address is not None:
        made["email"] = address
    if dice.random() < 0.3:
        made["phone_number"] = f"+4930{10_000_000 + person * 100 + version % 100}"
    return made


def bystander(identifier: str) -> dict[str, Any]:
    """Return the data of somebody to whom nothing happens after the signup."""
    return {"identifier": identifier, "email": f"{identifier}@example.com"}


def email(seed: int, person: int, version: int) -> str | None:
    """Return the e-mail address; every second version has another one."""
    if shares_address(person):
        return email(seed, person - 1, 0)
    if person % NO_ADDRESS == 5:
        return None
    return f"{CANARY}-{seed}-{person}-{version // 2}@example.com"


def shares_address(person: int) -> bool:
    """Return whether another person has the same address."""
    return person % SHARES_ADDRESS == SHARES_ADDRESS - 1


def owner_of_address(person: int) -> int:
    return person - 1
