"""Warns about environment variables that look like settings but are not: a misspelt one would silently leave the
default in force.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from workflow_entrypoints.settings import CONFIG_VARIABLE, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KNOWN: Final = {*NAMES, CONFIG_VARIABLE, "DLI_DEBUG"}
_OURS: Final = ("WORKFLOWS_", "DLI_")
_SHARED: Final = "AIRFLOW_"
_AIRFLOWS: Final = re.compile(r"AIRFLOW_(?:_|HOME$|CONFIG$|VERSION$|UID$|GID$|CONN_|VAR_|CTX_)")
_KUBERNETES: Final = re.compile(r".+_(?:SERVICE_HOST|SERVICE_PORT.*|PORT_[0-9]+_.*)")
"""The variables that Kubernetes sets for a service named ``workflows`` or ``dli``."""


def unknown_variables(environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield a warning for each. Variables with the prefix ``AIRFLOW_`` belong to Airflow, unless one is similar to a
    setting.
    """
    for name in sorted(os.environ if environment is None else environment):
        if name in _KNOWN or _KUBERNETES.fullmatch(name):
            continue
        similar = _similar_to(name)
        ours = name.startswith(_OURS) or (name.startswith(_SHARED) and similar and not _AIRFLOWS.match(name))
        if ours:
            yield f"{name} is not a setting and has no effect{f'; did you mean {similar}?' if similar else '.'}"


def _similar_to(name: str) -> str | None:
    """Return the setting with the most similar name; the prefix, which many names share, does not count."""
    prefix = next((prefix for prefix in (*_OURS, _SHARED) if name.startswith(prefix)), "")
    names = [setting.removeprefix(prefix) for setting in _KNOWN if setting.startswith(prefix)]
    close = get_close_matches(name.removeprefix(prefix), names, n=1, cutoff=0.75)
    return prefix + close[0] if close else None
