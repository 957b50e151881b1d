"""Who asks: a request's headers and peer in, a verified identity out."""

from entrypoints.http.auth.chain import Authentication
from entrypoints.http.auth.seam import Asked, Authenticator

__all__ = ["Asked", "Authentication", "Authenticator"]
