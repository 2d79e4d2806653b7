"""The signature check of all peers: Standard Webhooks v1 over the raw body."""

import base64
import hashlib
import hmac
import os
import time
from typing import Protocol

KEY = base64.b64decode(os.environ.get("WEBHOOK_SECRET", "").removeprefix("whsec_"))
TOLERANCE = 300  # seconds


class Headers(Protocol):
    """The headers of a request, in whatever framework."""

    def get(self, name: str, default: str, /) -> str: ...


def is_valid(headers: Headers, body: bytes) -> bool:
    """Return whether the signature is valid and recent."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(expected, headers.get("webhook-signature", ""))
