"""Access to the dashboard: passwords or an identity provider."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from worker.characters import lower_ascii


class Role(StrEnum):
    """A viewer can see everything but personal data; an operator can also act."""

    VIEWER = "viewer"
    OPERATOR = "operator"

    def covers(self, needed: "Role") -> bool:
        return self is Role.OPERATOR or needed is Role.VIEWER


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OpenID Connect provider; people are lower-case e-mail addresses or groups."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    operators: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    groups_claim: str = "groups"

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """Return the role of the person with these claims, or ``None``.

        An e-mail address counts only if the provider has verified it, because some providers let anybody enter any
        address. A group with a name like an address never counts.
        """
        email, groups = claims.get("email"), claims.get(self.groups_claim)
        listed = groups if isinstance(groups, list) else []
        is_of = {group for group in listed if isinstance(group, str) and "@" not in group}
        if isinstance(email, str) and claims.get("email_verified") is True:
            is_of.add(lower_ascii(email))
        if is_of & set(self.operators):
            return Role.OPERATOR
        return Role.VIEWER if is_of & set(self.viewers) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The ways to sign in; ``proxies`` is the number of trusted reverse proxies."""

    operator_password: str | None = field(default=None, repr=False)
    viewer_password: str | None = field(default=None, repr=False)
    provider: Provider | None = None
    proxies: int = 0

    @property
    def has_passwords(self) -> bool:
        return bool(self.operator_password or self.viewer_password)

    @property
    def is_open(self) -> bool:
        return self.has_passwords or self.provider is not None

    def role_of_password(self, given: str) -> Role | None:
        """Return the role of a password, or ``None``, in constant time."""
        ways = {Role.OPERATOR: self.operator_password, Role.VIEWER: self.viewer_password}
        fitting = [
            role
            for role, password in ways.items()
            if hmac.compare_digest(given.encode(errors="replace"), (password or "").encode()) and password
        ]
        return fitting[0] if fitting else None

    def signing_key(self, salt: bytes) -> bytes:
        """Return the key that signs sessions: the same in every process.

        It changes with every setting here and with the salt: a changed password or list of people ends all sessions.
        Slow on purpose (scrypt, RFC 7914), so that nobody with the salt and a cookie can try passwords quickly.
        """
        everything = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.scrypt(everything, salt=b"dashboard:" + salt, n=2**14, r=8, p=1, dklen=32)
