"""The file in which a stand-in that runs on its own keeps its contacts."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tests.livedesk.contact import Contact, Json, contact_of


class Journal:
    """One line of JSON for each change: ``[id, contact]``, or ``[id, null]`` for one that is gone.

    Only its owner can read the file, because it has personal data.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        kept = list(self.contacts())
        self.clear()
        for contact in kept:
            self.write(contact.id, contact)

    def contacts(self) -> Iterator[Contact]:
        """Yield the contacts that are left, oldest first."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        rows: dict[int, Json | None] = {}
        for line in lines:
            with suppress(ValueError):  # cut off
                contact_id, rows[contact_id] = json.loads(line)
        yield from (contact_of(row) for row in rows.values() if row is not None)

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)
        self._path.touch(mode=0o600)

    def write(self, contact_id: int, contact: Contact | None) -> None:
        line = json.dumps([contact_id, None if contact is None else asdict(contact)])
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
