"""Headers of a proxy that has found out who asks, believed only where they come from it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.identity import Identity, is_user_name
from workflow_core.errors import Unauthenticated
from workflow_entrypoints.settings.grants import access_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_entrypoints.http.auth.protocol import AuthRequest
    from workflow_entrypoints.settings.grants import GrantRule

Network = IPv4Network | IPv6Network


@frozen(kw_only=True)
class ProxyAuthenticator:
    """``peers`` are those whose ``user_header`` and ``groups_header`` (separated by commas; None: no groups are read) are believed;
    nobody else's are looked at.
    """

    peers: Sequence[Network]
    user_header: str
    groups_header: str | None
    grants: Sequence[GrantRule]

    def authenticate(self, asked: AuthRequest) -> Identity | None:
        """As the seam says."""
        if not self._is_listed(asked.peer):
            return None
        users = asked.all(self.user_header)
        groups = asked.all(self.groups_header) if self.groups_header else []
        if len(users) > 1 or len(groups) > 1:
            raise Unauthenticated("the proxy sends a header twice: it passes on what its clients send")
        if not users:
            return None
        name = _text(users[0])
        if "," in name or not is_user_name(name):  # with a comma, it may be two headers that somebody has joined
            raise Unauthenticated("the proxy sends a name that no user can have")
        mine = [group.strip() for group in _text(groups[0]).split(",")] if groups else []
        return Identity(name=name, access=access_of(name, mine, self.grants))

    def close(self) -> None:
        """Nothing is open."""

    def _is_listed(self, peer: str | None) -> bool:
        try:
            address = ip_address(peer or "")
        except ValueError:  # a socket without addresses
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped  # how an IPv4 peer shows on a socket for both
        return any(address in network for network in self.peers)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unauthenticated("the proxy sends a header that is not UTF-8") from None
