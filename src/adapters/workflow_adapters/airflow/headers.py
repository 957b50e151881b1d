"""What is sent in front of every request: credentials, and what a gateway asks for."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from workflow_adapters.http.exchange import is_header
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")  # RFC 9110, section 5.6.2


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by their names in lower case: no name twice, nothing that could not be sent.

    Raises:
        ConfigurationError: one could not be sent. Its value is not shown.
    """
    checked = {name.lower(): value for name, value in headers.items()}
    if wrong := [name for name, value in checked.items() if not _NAME.match(name) or not is_header(value)]:
        msg = f"AIRFLOW_HEADERS: {', '.join(map(ascii, wrong))} could not be sent as a header"
        raise ConfigurationError(msg)
    return checked


def bearer(token: object) -> str:
    """The authorization by a token (RFC 6750).

    Raises:
        ConfigurationError: this is no token.
    """
    if not isinstance(token, str) or not is_header(token):
        msg = "AIRFLOW_TOKEN holds characters that no token has (a line break?)"
        raise ConfigurationError(msg)
    return f"Bearer {token}"


def basic(username: str, password: str) -> str:
    """The authorization by a password (RFC 7617), in UTF-8 as Airflow reads it."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode('ascii')}"
