"""Who may open the dashboard, and what for: by password, or by what a company's identity provider says."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """A viewer looks, an operator acts as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"

    def covers(self, needed: "Role") -> bool:
        return self is Role.OPERATOR or needed is Role.VIEWER


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OpenID Connect provider. ``operators`` and ``viewers`` hold e-mail addresses, in lower case, and groups."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    operators: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    groups_claim: str = "groups"

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """The role of the person with these claims, or ``None``.

        An e-mail address counts only where the provider has verified it: with some, anybody may write any address
        into their own account. No group counts that looks like an address.
        """
        email, groups = claims.get("email"), claims.get(self.groups_claim)
        listed = groups if isinstance(groups, list) else []
        is_of = {group for group in listed if isinstance(group, str) and "@" not in group}
        if isinstance(email, str) and claims.get("email_verified") is True:
            is_of.add(email.lower())
        if is_of & set(self.operators):
            return Role.OPERATOR
        return Role.VIEWER if is_of & set(self.viewers) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The ways in. ``proxies`` is how many proxies stand before us and say who asks, and whether over TLS."""

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
        """The role that a password opens, or ``None``; takes as long whichever it is."""
        ways = {Role.OPERATOR: self.operator_password, Role.VIEWER: self.viewer_password}
        fitting = [
            role
            for role, password in ways.items()
            if hmac.compare_digest(given.encode(errors="replace"), (password or "").encode()) and password
        ]
        return fitting[0] if fitting else None

    def signing_key(self, salt: bytes) -> bytes:
        """What sessions are signed with: the same in every process, another as soon as anything here or the salt
        changes. So whoever changes a password, or takes somebody off a list, ends all sessions.

        Slow on purpose (scrypt, RFC 7914): who got hold of the salt and a cookie cannot try passwords fast.
        """
        everything = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.scrypt(everything, salt=b"dashboard:" + salt, n=2**14, r=8, p=1, dklen=32)
