"""An installation whose commands read and write files."""

from pathlib import Path
from typing import Any

import redis
from click.testing import Result

from tests.world import World
from worker.model import Contact


class Office(World):
    """An installation with commands that read and write files in ``folder``."""

    def __init__(self, client: redis.Redis, folder: Path, **options: Any) -> None:
        super().__init__(client, **{"inbox_id": 1, **options})
        self.folder = folder

    def take(self, text: str | bytes, *arguments: str, name: str = "people.csv") -> Result:
        """Write a file and import it."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.flask("import", str(path), *arguments)

    def contact(self, identifier: str) -> Contact:
        contact = self.record(identifier).contact
        assert contact is not None
        return contact
