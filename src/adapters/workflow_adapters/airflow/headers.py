"""Headers of every request: credentials, and those that a gateway requires."""

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
    """Return the headers by their names in lower case.

    Raises:
        ConfigurationError: one cannot be sent. Its value is not part of the message.
    """
    checked = {name.lower(): value for name, value in headers.items()}
    if wrong := [name for name, value in checked.items() if not _NAME.match(name) or not is_header(value)]:
        msg = f"AIRFLOW_HEADERS: {', '.join(map(ascii, wrong))} cannot be sent as a header"
        raise ConfigurationError(msg)
    return checked


def bearer(token: object) -> str:
    """Return the authorization by a token (RFC 6750).

    Raises:
        ConfigurationError: this is not a token.
    """
    if not isinstance(token, str) or not is_header(token):
        msg = "AIRFLOW_TOKEN contains characters that a token cannot have (a line break?)"
        raise ConfigurationError(msg)
    return f"Bearer {token}"


def basic(username: str, password: str) -> str:
    """Return the authorization by a password (RFC 7617), in UTF-8 as Airflow decodes it."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode('ascii')}"
