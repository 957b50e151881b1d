"""Removes secrets from text that is shown or logged: by their position, and by their values where those are known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MASK: Final = "****"

SHORTEST: Final = 6
"""Minimum length of a secret that is searched for by its value: a shorter one (``admin``) occurs in ordinary words."""

_AWS: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_OTLP: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")

_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # The user stays. Up to the last @ of the word: a password may hold "/", and one that is not quoted may hold "@".
    (re.compile(r"(://(?:[^\s:/?#@\"'<>]*:)?)[^\s\"'<>]*@"), rf"\1{MASK}@"),
    # postgresql://host/name?password=… exposes a password just like one in front of the host; so does a signature of
    # S3.
    (
        re.compile(
            r"([?&][^\s=&\"']*(?:pass|secret|token|key|signature|credential)[^\s=&\"']*=)[^\s&\"']*", re.IGNORECASE
        ),
        rf"\1{MASK}",
    ),
    # Authorization: Bearer …, 'Authorization': 'Basic …'
    (
        re.compile(r"(\bauthorization[\"']?\s*[:=]\s*b?[\"']?)(?:[A-Za-z-]+\s+)?[^\s\"',;}]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # the scheme alone; no word of a sentence about "basic authentication" has digits or capitals
    (re.compile(r"\b((?i:bearer|basic)\s+)(?=\S*[0-9A-Z])[A-Za-z0-9._~+/-]{8,}=*"), rf"\1{MASK}"),
    # our API tokens, whose id may stay, and JSON web tokens
    (re.compile(r"\b(dli_[0-9a-f]{16}_)[0-9a-f]{8,}"), rf"\1{MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), MASK),
    # password=…, "access_token": "…"
    (
        re.compile(
            r"(\b\w*(?:password|passwd|secret|token|api_?key|access_?key)\w*(?:\s*=\s*|[\"']\s*:\s*)b?[\"']?)[^\s\"',;&}]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def redact(text: str) -> str:
    """Mask the credentials in URLs, headers and assignments."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets in variables of boto3 and OpenTelemetry, which may quote responses that contain them."""
    yield from (environment.get(name, "") for name in _AWS)
    for name in _OTLP:  # key=value,key=value, percent-encoded
        for pair in environment.get(name, "").split(","):
            value = pair.partition("=")[2].strip()
            yield from (value, unquote(value), unquote(value).rpartition(" ")[2])  # without "Bearer"


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a :func:`redact` that also masks these secrets by their values, at any position."""
    known = sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True)
    if not known:
        return redact
    values = re.compile("|".join(map(re.escape, known)))
    return lambda text: redact(values.sub(MASK, text))
