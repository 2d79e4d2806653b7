"""The state of the stand-in, and its reset."""

import threading
import time
from dataclasses import dataclass

from tests.livedesk.book import Book
from tests.livedesk.ledger import Ledger
from tests.livedesk.modes import FILTERS
from tests.livedesk.rules import Rulebook
from tests.livedesk.service import Credentials, Service


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a stand-in.

    ``ledger_limit`` limits its records: ``None``: no limit, 0: only counts.
    """

    api_key: str = "demo-key"
    api_secret: str = "demo-secret"
    inbox_ids: tuple[int, ...] = (1,)
    by_id: bool = False
    ledger_limit: int | None = None
    seed: int | None = None


class Scene:
    """The state from one reset to the next.

    A request sees one scene, even if a reset happens meanwhile.
    """

    def __init__(self, settings: Settings) -> None:
        self.book = Book(settings.inbox_ids, clock=time.time, seed=settings.seed)
        self.ledger = Ledger(time.time, limit=settings.ledger_limit)
        self.rules = Rulebook(filters=FILTERS)
        self.credentials = Credentials(settings.api_key, settings.api_secret)
        self.service = Service(self.book, self.credentials, by_id=settings.by_id)
        self.released = threading.Event()


class World:
    """The current scene."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.scene = Scene(settings)

    def reset(self) -> None:
        """Start again: empty book, empty ledger, no rules, the first credentials.

        Delayed requests are dropped.
        """
        past, self.scene = self.scene, Scene(self._settings)
        past.released.set()

    def release(self) -> None:
        """Drop all delayed requests: the stand-in stops."""
        self.scene.released.set()
