"""A sender that behaves as real ones: it retries without a 200, a few times.

One event loop in a thread of its own; each delivery is a connection of its own, as from many machines.
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.rig.processes import LOCALHOST

#: Seconds that a sender waits for its answer.
ANSWER_S = 3.0
#: Seconds from one try to the next; after the last the sender gives up.
REPEAT_AFTER_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)
#: Seconds between two looks at something that is waited for.
LOOK_S = 0.02
#: What a 200 may say of a sign-up.
TAKEN = ("accepted", "duplicate")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery: seconds after the start, first receiver, signed or with the secret.

    ``happened`` is the time of its event at the source, in seconds; ``deletes``: it deletes the person.
    """

    at: float
    identifier: str
    body: dict[str, Any]
    door: int
    signed: bool
    happened: int = 0
    deletes: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """The fields of the person."""
        data: dict[str, Any] = self.body.get("data", self.body)
        return data


@dataclass(slots=True)
class Sent:
    """A parcel's result, in epoch seconds; ``answers``: statuses or error names.

    ``tried`` is when the last request began.
    """

    parcel: Parcel
    answers: list[str] = field(default_factory=list)
    acknowledged: float | None = None
    #: What the receiver said in its 200.
    status: str | None = None
    tried: float | None = None


class Sender:
    """Sends to the ports ``doors``; a retry goes to the next, as by a load balancer."""

    def __init__(self, doors: Sequence[int], secret: str, *, answer_s: float = ANSWER_S) -> None:
        self.doors = doors
        self.secret = secret
        self.answer_s = answer_s
        self.sent: list[Sent] = []
        self.finished = 0
        self._thread: threading.Thread | None = None

    def start(self, parcels: Sequence[Parcel]) -> None:
        """Start sending, without waiting."""
        self.sent = [Sent(parcel) for parcel in parcels]
        self.finished = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._deliver_all()), name="sender", daemon=True)
        self._thread.start()

    def join(self) -> list[Sent]:
        """Wait until every parcel is delivered or given up."""
        assert self._thread is not None
        self._thread.join()
        return self.sent

    async def _deliver_all(self) -> None:
        start = time.monotonic()
        tasks = set()
        for sent in sorted(self.sent, key=lambda sent: sent.parcel.at):
            await asyncio.sleep(max(0.0, start + sent.parcel.at - time.monotonic()))
            task = asyncio.create_task(self._deliver(sent))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def _deliver(self, sent: Sent) -> None:
        for number, pause in enumerate((*REPEAT_AFTER_S, None)):
            door = self.doors[(sent.parcel.door + number) % len(self.doors)]
            sent.tried = time.time()
            try:
                async with asyncio.timeout(self.answer_s):
                    status, body = await self._post(door, sent.parcel)
                sent.answers.append(str(status))
                if status == 200:
                    sent.acknowledged = time.time()
                    sent.status = str(body.get("status"))
                    break
            except (OSError, ValueError, TimeoutError) as error:
                sent.answers.append(type(error).__name__)
            if pause is not None:
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
        self.finished += 1

    async def _post(self, port: int, parcel: Parcel) -> tuple[int, dict[str, Any]]:
        body = json.dumps(parcel.body, ensure_ascii=False)
        head = self._headers(parcel, body) | {
            "Host": f"{LOCALHOST}:{port}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body.encode())),
            "Connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        reader, writer = await asyncio.open_connection(LOCALHOST, port)
        try:
            writer.write(f"POST /webhooks/signup HTTP/1.1\r\n{lines}\r\n{body}".encode())
            answer = await reader.read()
        finally:
            writer.transport.abort()
        return read_answer(answer)

    def _headers(self, parcel: Parcel, body: str) -> dict[str, str]:
        if not parcel.signed:
            return {"Authorization": f"Bearer {self.secret}"}
        now = datetime.now(UTC)
        message = f"msg_{parcel.identifier}_{now.timestamp() * 1000:.0f}"
        return {
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(message, now, body),
        }


def read_answer(answer: bytes) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of a complete HTTP response.

    Raises:
        ValueError: it is not one.
    """
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"HTTP/1.1 "):
        raise ValueError("no whole answer")
    made = json.loads(body)
    return int(head.split(b" ", 2)[1]), made if isinstance(made, dict) else {}


def wait_for(condition: Callable[[], bool], timeout_s: float, between: Callable[[], object] = lambda: None) -> bool:
    """Return whether it became true in time; ``between`` is called between two checks."""
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        between()
        time.sleep(LOOK_S)
    return True
