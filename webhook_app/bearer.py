"""Bearer tokens: ``Authorization: Bearer <token>``."""

import hmac


def is_authorized(header: str, token: str | None) -> bool:
    """Whether ``Authorization: Bearer <token>`` is right; never without a token."""
    scheme, _, given = header.partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("latin-1", errors="replace"), token.encode())
