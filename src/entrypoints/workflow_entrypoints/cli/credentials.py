"""The file in which ``dli login`` saves tokens; only its owner may read it."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from workflow_core.errors import ConfigurationError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def credentials_file() -> Path:
    """``dli/credentials.json`` in ``XDG_CONFIG_HOME``, or in ``~/.config``."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(given) if given.startswith("/") else Path.home() / ".config"
    return folder / "dli" / "credentials.json"


def saved_token(server: str) -> str | None:
    """Return the token for this server; None if none is saved.

    Raises:
        ConfigurationError: other users may read the file, or it cannot be read; the message never contains the token.
    """
    return _read().get(_key(server))


def save_token(server: str, token: str) -> Path:
    """Save the token, replacing an earlier one for this server, and return the path of the file."""
    return _write({**_read(), _key(server): token})


def delete_token(server: str) -> bool:
    """Delete the token for this server; return whether one was saved."""
    tokens = _read()
    if tokens.pop(_key(server), None) is None:
        return False
    _write(tokens)
    return True


def _key(server: str) -> str:
    url = urlsplit(server.rstrip("/"))
    return f"{url.scheme}://{url.netloc.lower()}{url.path}"


def _read() -> dict[str, str]:
    path = credentials_file()
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise ConfigurationError(
                    f"Other users may read the tokens in {path}. Restrict the file: chmod 600 {path}"
                )
            tokens = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):  # no message contains the text of the file
        raise ConfigurationError(f"{path} cannot be read. Remove it and run `dli login` again.") from None
    if not isinstance(tokens, dict) or not all(isinstance(value, str) for value in tokens.values()):
        raise ConfigurationError(f"{path} is not a file of `dli login`. Remove it and run `dli login` again.")
    return tokens


def _write(tokens: dict[str, str]) -> Path:
    """Replace the file by a new one, created with mode 0600 (``mkstemp``)."""
    path = credentials_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(tokens, file, indent=1)
            Path(name).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from None
    return path
