"""Key names: safe to print, to put into an address, and to type."""

import re

from worker.store import record

SALT = b"the-salt-of-the-tests"


def test_a_contacts_key_can_stand_in_an_address_and_on_a_command_line() -> None:
    made = {record.contact_key(f"person-{number}", SALT) for number in range(5000)}
    assert len(made) == 5000
    assert all(re.fullmatch(r"[A-Za-z0-9._]{16}", key) for key in made)


def test_a_contacts_key_says_nothing_without_the_salt() -> None:
    assert record.contact_key("ada@example.com", SALT) == record.contact_key("ada@example.com", SALT)
    assert record.contact_key("ada@example.com", SALT) != record.contact_key("ada@example.com", b"another salt")
