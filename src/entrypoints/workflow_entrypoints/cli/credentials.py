"""Where ``dli login`` keeps tokens: one file of the user's, which nobody else may read."""

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


def kept_token(server: str) -> str | None:
    """The token for this server; None if none is kept.

    Raises:
        ConfigurationError: others may read the file, or nobody can; it is never shown.
    """
    return _read().get(_key(server))


def keep_token(server: str, token: str) -> Path:
    """Keep the token, in the place of an earlier one for this server; returns where."""
    return _write({**_read(), _key(server): token})


def forget_token(server: str) -> bool:
    """Keep none for this server any more; whether one was kept."""
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
                raise ConfigurationError(f"Others may read the tokens in {path}. Make it yours alone: chmod 600 {path}")
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):  # its text is in none of the messages
        raise ConfigurationError(f"{path} cannot be read. Remove it, and `dli login` again.") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ConfigurationError(f"{path} is not what `dli login` writes. Remove it, and `dli login` again.")
    return found


def _write(tokens: dict[str, str]) -> Path:
    """Write a new file beside it, which is made for its owner alone (``mkstemp``: 0600), and put that in its place."""
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
