"""Authentication: from the headers and the peer of a request to a verified identity."""

from workflow_entrypoints.http.auth.authentication import Authentication
from workflow_entrypoints.http.auth.protocol import Authenticator, AuthRequest

__all__ = ["AuthRequest", "Authentication", "Authenticator"]
