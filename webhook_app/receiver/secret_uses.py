"""When each live secret last proved a delivery, so that an operator knows when the old one of two can go."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from worker.errors import StoreError
from worker.store.desk import Desk

if TYPE_CHECKING:
    from webhook_app.sources import Source

log = logging.getLogger(__name__)

#: Seconds between two notes about one secret: nobody needs to know it more exactly.
NOTE_EVERY_S = 60.0


class SecretUses:
    """Notes uses in Redis, now and then. ``clock`` is in seconds."""

    def __init__(self, desk: Desk, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.desk = desk
        self.clock = clock
        self._noted: dict[tuple[str, int], float] = {}

    def note(self, source: "Source", secret: int) -> None:
        """The source's secret of this number, counted from 0, has just proved a delivery."""
        key, now = (source.name, secret), self.clock()
        if now - self._noted.get(key, -NOTE_EVERY_S) < NOTE_EVERY_S or secret >= len(source.secret_names):
            return
        self._noted[key] = now
        try:
            self.desk.note_secret(source.name, source.secret_names[secret])
        except StoreError as error:
            log.warning("source=%s the use of a secret was not noted: %s", source.name, error)
