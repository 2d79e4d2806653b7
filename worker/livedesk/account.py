"""What is known about the LiveDesk account, remembered for some seconds so that not every attempt asks Redis."""

import time
from collections.abc import Callable

from worker.errors import StoreError
from worker.model import Account
from worker.store.store import Store

#: Seconds for which an answer of Redis's is used: so soon a worker heeds what ``flask doctor`` has found out.
FRESH_S = 10.0


class KnownAccount:
    """Called, it tells what is known about the account that goes by ``name``. Threads may share it.

    While Redis does not answer, the last that it said holds. ``clock`` is in seconds.
    """

    def __init__(self, store: Store, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self.name = name
        self.clock = clock
        self._known = Account()
        self._fresh_until = float("-inf")

    def __call__(self) -> Account:
        if self.clock() >= self._fresh_until:
            self._fresh_until = self.clock() + FRESH_S
            try:
                self._known = self.store.findings.account(self.name)
            except StoreError:
                self._fresh_until = float("-inf")
        return self._known
