"""Reads the settings of a process from its environment and from the configuration file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from workflow_core.errors import ConfigurationError
from workflow_entrypoints.observability.redaction import MASK, redact
from workflow_entrypoints.settings.model import NAMES, Settings
from workflow_entrypoints.settings.placeholders import expanded

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_VARIABLE: Final = "WORKFLOWS_CONFIG"

_PLACE: Final = {name: place for place, name in enumerate(NAMES)}


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        environment: the environment variables; None for those of the process.

    Raises:
        ConfigurationError: a value is wrong or a key of the file is unknown; the message names it and never contains a
            secret.
    """
    environment = os.environ if environment is None else environment
    path = environment.get(CONFIG_VARIABLE)
    values = _read_file(Path(path), environment) if path else {}
    values |= {name: environment[name] for name in NAMES if environment.get(name, "") != ""}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        problems.sort(key=lambda problem: _PLACE.get(str(problem["loc"][0]), len(_PLACE)))
        lines = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems]
        msg = f"the configuration is wrong: {'; '.join(lines)}"
        raise ConfigurationError(msg) from None


def described(settings: Settings, environment: Mapping[str, str] | None = None) -> list[tuple[str, Any, str]]:
    """Return every setting as ``(variable, value, source)``. Secrets, and passwords in URLs, are redacted."""
    environment = os.environ if environment is None else environment
    path = environment.get(CONFIG_VARIABLE)
    in_file = _read_file(Path(path), environment) if path else {}
    rows = []
    for name, field in NAMES.items():
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            value = MASK
        elif isinstance(value, str):
            value = redact(value)
        elif isinstance(value, tuple):
            value = ",".join(map(str, value))
        source = "environment" if environment.get(name) else "file" if name in in_file else "default"
        rows.append((name, value, source))
    return rows


def _read_file(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Read the file and expand its placeholders, except in settings that the environment overrides anyway."""
    try:
        tree = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        msg = f"{CONFIG_VARIABLE}: cannot read {path}: {error}"
        raise ConfigurationError(msg) from None
    entries = _flat(tree, ()) if isinstance(tree, dict) else []
    if unknown := sorted({name for name, _, _ in entries} - set(NAMES)):
        msg = f"{path}: unknown settings: {', '.join(unknown)}"
        raise ConfigurationError(msg)
    values: dict[str, Any] = {}
    for name, key, written in entries:
        if environment.get(name):
            values[name] = written
            continue
        value = expanded(written, environment, where=f"{path}: {key}")
        if value == "" != written:  # an empty default: not set, like an empty variable
            continue
        # the default task may be written as a mapping, the grants as a list
        is_json = isinstance(value, dict) or (isinstance(value, list) and name == "WORKFLOWS_GRANTS")
        values[name] = json.dumps(value) if is_json else value
    return values


def _flat(tree: Mapping[Any, Any], path: tuple[str, ...]) -> list[tuple[str, str, Any]]:
    """Return each setting of the file as ``(variable, key, value)``."""
    entries: list[tuple[str, str, Any]] = []
    for key, value in tree.items():
        here = (*path, str(key))
        name = "_".join(here).replace("-", "_").upper()
        if isinstance(value, dict) and name not in NAMES:
            entries += _flat(value, here)
        else:
            entries.append((name, ".".join(here), value))
    return entries
