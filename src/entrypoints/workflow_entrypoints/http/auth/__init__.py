"""Who asks: a request's headers and peer in, a verified identity out."""

from workflow_entrypoints.http.auth.authentication import Authentication
from workflow_entrypoints.http.auth.protocol import Authenticator, AuthRequest

__all__ = ["AuthRequest", "Authentication", "Authenticator"]
