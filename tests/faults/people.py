"""The people who sign up in a run.

Their texts are recognisable wherever they appear (I7).
"""

import random
from typing import Any

#: In every identifier, name and address; no word of ours or of a library.
CANARY = "kanarienvogel"
#: In every secret that the run makes up.
SECRET_CANARY = "Geheimnisvogel"
#: One person in this number has the address of the previous one; LiveDesk accepts only one of them.
SHARES_ADDRESS = 50
#: One person in this number has no address.
NO_ADDRESS = 12


def identifier(seed: int, person: int) -> str:
    return f"{CANARY}-{seed}-{person}"


def signup(seed: int, person: int, version: int) -> dict[str, Any]:
    """Return what a delivery contains about a person; a later version differs."""
    dice = random.Random(f"{seed} {person} {version}")
    made: dict[str, Any] = {
        "identifier": identifier(seed, person),
        "name": f"{dice.choice(('Zoë', 'Łukasz', '王', 'Ada', 'Jürgen'))} {CANARY.title()} {person} v{version}",
    }
    address = email(seed, person, version)
    if address is not None:
        made["email"] = address
    if dice.random() < 0.3:
        made["phone_number"] = f"+4930{10_000_000 + person * 100 + version % 100}"
    return made


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
