"""An identity provider with real keys, published by a small HTTP server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER = "https://issuer.example.com"
AUDIENCE = "workflows"


@cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A private key; equal names give equal keys."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str = "one", curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    """A private key on an elliptic curve; equal names give equal keys."""
    del name
    return ec.generate_private_key(curve())


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public key in its published form."""
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def claims(**changes: Any) -> dict[str, Any]:
    """Valid claims with changes; None removes a claim."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user@example.com", "exp": int(time.time()) + 600}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(
    key: Any = None, alg: str = "RS256", kid: str = "rsa", headers: dict[str, Any] | None = None, **changes: Any
) -> str:
    """A token as the provider makes it."""
    return jwt.encode(claims(**changes), key or rsa_key(), algorithm=alg, headers={"kid": kid, **(headers or {})})


def by_hand(header: object, payload: object, secret: bytes | None = None) -> str:
    """A token that no library would create, signed with HMAC or unsigned."""
    text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, payload))
    signature = b"" if secret is None else hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """The published keys, and the number of requests for them."""

    url: str

    def __init__(self) -> None:
        self.keys = [jwk(rsa_key(), "rsa"), jwk(ec_key(), "ec")]
        self.paths: list[str] = []
        self.is_held = threading.Event()
        self.is_held.set()

    @property
    def fetches(self) -> int:
        return len(self.paths)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a service that trusts this provider."""
        return {
            "auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": f"{self.url}/jwks"
        }  # fmt: skip


@contextmanager
def identity_provider() -> Iterator[Provider]:
    """A provider on loopback, which does not respond while its event is cleared."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.paths.append(self.path)
            provider.is_held.wait(30)
            body = json.dumps({"keys": provider.keys}).encode()
            with suppress(ConnectionError):  # the client has disconnected
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        provider.is_held.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
