"""The state of the stand-in, and its reset."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.livedesk.book import Book
from tests.livedesk.journal import Journal
from tests.livedesk.ledger import Ledger
from tests.livedesk.modes import FILTERS
from tests.livedesk.rules import Rulebook
from tests.livedesk.service import Credentials, Service


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a stand-in.

    ``ledger_limit`` limits its records: ``None``: no limit, 0: only counts. ``by_id``: it offers to read and delete one
    contact. ``file`` keeps the contacts for later runs. With ``new_ids`` ids start at the time in ms instead of 1, so
    that no run uses an id again which another one may have given away.
    """

    api_key: str = "demo-key"
    api_secret: str = "demo-secret"
    inbox_ids: tuple[int, ...] = (1,)
    by_id: bool = False
    ledger_limit: int | None = None
    seed: int | None = None
    file: Path | None = None
    new_ids: bool = False


class Scene:
    """The state from one reset to the next.

    A request sees one scene, even if a reset happens meanwhile.
    """

    def __init__(self, settings: Settings, journal: Journal | None) -> None:
        first_id = round(time.time() * 1000) if settings.new_ids else 1
        self.book = Book(settings.inbox_ids, clock=time.time, seed=settings.seed, first_id=first_id, journal=journal)
        self.ledger = Ledger(time.time, limit=settings.ledger_limit)
        self.rules = Rulebook(filters=FILTERS)
        self.credentials = Credentials(settings.api_key, settings.api_secret)
        self.service = Service(self.book, self.credentials, by_id=settings.by_id)
        self.released = threading.Event()


class World:
    """The current scene."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._journal = Journal(settings.file) if settings.file else None
        self.scene = Scene(settings, self._journal)

    def reset(self) -> None:
        """Start again: empty book, empty ledger, no rules, the first credentials.

        Delayed requests are dropped.
        """
        if self._journal:
            self._journal.clear()
        past, self.scene = self.scene, Scene(self._settings, self._journal)
        past.released.set()

    def release(self) -> None:
        """Drop all delayed requests: the stand-in stops."""
        self.scene.released.set()
