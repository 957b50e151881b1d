"""Headers of an authenticating proxy, trusted only from the proxy's address."""

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
    """Trust the headers of listed peers, and ignore those of all others.

    Attributes:
        peers: The networks of the trusted proxies.
        user_header: The header with the name of the user.
        groups_header: The header with the groups, separated by commas; None: no groups are read.
        grants: The rules that grant roles to users and groups.
    """

    peers: Sequence[Network]
    user_header: str
    groups_header: str | None
    grants: Sequence[GrantRule]

    def authenticate(self, request: AuthRequest) -> Identity | None:
        """See :class:`~workflow_entrypoints.http.auth.protocol.Authenticator`."""
        if not self._is_listed(request.peer):
            return None
        users = request.all(self.user_header)
        groups = request.all(self.groups_header) if self.groups_header else []
        if len(users) > 1 or len(groups) > 1:
            raise Unauthenticated("the proxy sends a header twice, so it forwards headers of its clients")
        if not users:
            return None
        name = _text(users[0])
        if "," in name or not is_user_name(name):  # a comma may be the joint of two headers
            raise Unauthenticated("the proxy sends an invalid user name")
        names = [group.strip() for group in _text(groups[0]).split(",")] if groups else []
        return Identity(name=name, access=access_of(name, names, self.grants))

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def _is_listed(self, peer: str | None) -> bool:
        try:
            address = ip_address(peer or "")
        except ValueError:  # a socket without addresses
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped  # how an IPv4 peer appears on a dual-stack socket
        return any(address in network for network in self.peers)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unauthenticated("the proxy sends a header that is not UTF-8") from None
