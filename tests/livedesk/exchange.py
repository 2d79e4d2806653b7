"""One request: executed at most once, answered at most once, and recorded.

The misbehaviours (``modes``) are written in these terms.
"""

import threading
import time

from tests.livedesk.ledger import Ledger, RequestRecord
from tests.livedesk.message import Answer, Request
from tests.livedesk.service import HEALTHY, Quirks, Service
from tests.livedesk.wire import Wire, answer_bytes

GLANCE = 0.03
"""Seconds between two checks whether a waiting client has left."""


class Released(Exception):
    """The stand-in was reset or stopped during a delay: drop the request."""


class Exchange:
    """A request, the service that executes it, and the connection.

    ``released`` ends every delay.
    """

    def __init__(
        self,
        request: Request,
        service: Service,
        ledger: Ledger,
        record: RequestRecord,
        wire: Wire,
        released: threading.Event,
        *,
        closing: bool,
    ) -> None:
        self.request = request
        self.record = record
        self.closing = closing
        """Whether the connection must be closed after the answer."""
        self._service, self._ledger, self._wire, self._released = service, ledger, wire, released
        self._verdict: Answer | None = None

    def execute(self, quirks: Quirks = HEALTHY) -> Answer:
        """Execute the request the first time; return the same answer after that.

        Sends nothing.
        """
        if self._verdict is None:
            self._verdict = self._service.execute(self.request, quirks)
            self._ledger.execute(self.record, self._verdict.status, self._verdict.contact)
        return self._verdict

    def send(self, answer: Answer, *, closing: bool = False) -> None:
        """Send the answer. ``closing`` announces and closes the connection."""
        self.closing = self.closing or closing
        raw = self.bytes_of(answer)
        self.note_answered(answer.status)
        self._wire.send(raw)

    def bytes_of(self, answer: Answer) -> bytes:
        return answer_bytes(answer, without_body=self.request.method == "HEAD", closing=self.closing)

    def trickle(self, raw: bytes, status: int, pause: float) -> None:
        """Answer one byte at a time, with ``pause`` seconds between them."""
        for position in range(len(raw) - 1):
            self._wire.send(raw[position : position + 1])
            self._nap(pause)
        self.note_answered(status)
        self._wire.send(raw[-1:])

    def send_raw(self, raw: bytes) -> None:
        """Send bytes as they are. The connection is closed when the exchange ends."""
        self.closing = True
        self._nap(0)
        self._wire.send(raw)

    def break_off(self, status: int | None = None) -> None:
        """Close the connection (FIN) with the answer missing or incomplete."""
        self.closing = True
        self.note("broken", status)

    def reset(self) -> None:
        """Reset the connection (RST)."""
        self.closing = True
        self.note("broken")
        self._wire.reset()

    def delay(self, seconds: float | None) -> bool:
        """Keep the client waiting, without end for ``None``.

        Return False as soon as it leaves, otherwise True.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or (left := end - time.monotonic()) > 0:
            self._nap(GLANCE if end is None else min(left, GLANCE))
            if self._wire.peer_left():
                self.note("client_left")
                self.closing = True
                return False
        return True

    def sleep(self, seconds: float) -> None:
        """Wait whether the client stays or leaves; record when it left."""
        end = time.monotonic() + seconds
        if not self.delay(seconds):
            self._nap(max(0.0, end - time.monotonic()))

    def note_answered(self, status: int) -> None:
        """Record that the answer is complete, before its receiver can read the ledger."""
        if self._wire.peer_left():
            self.note("client_left")
        self.note("answered", status)

    def note(self, ending: str, status: int | None = None) -> None:
        """Record how it ended; only the first call counts."""
        self._ledger.close(self.record, ending, status)

    def _nap(self, seconds: float) -> None:
        if self._released.wait(seconds):
            raise Released
