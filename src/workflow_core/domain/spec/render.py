"""The stored form of a spec: the user's text, comments and order kept, made complete with the registered values."""

from __future__ import annotations

import hashlib
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDTH: Final = 10_000
"""Wide enough that no line of the user's is folded anew."""


def complete(text: str, values: Mapping[str, Any]) -> str:
    """Return ``text`` with each of ``values`` set at the top level, over what the text says.

    ``text`` must already have passed :func:`~workflow_core.domain.spec.parse.parse_spec`. Comments and the order of keys
    survive; a mapping such as ``schedule`` is merged key by key; values that already stand there leave the text untouched.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text)
    changed = False
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            for key, inner in value.items():
                changed |= _set(document[name], key, inner)
        else:
            changed |= _set(document, name, value)
    if not changed:
        return text
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _set(mapping: Any, key: str, value: Any) -> bool:
    if key in mapping and mapping[key] == value:
        return False
    mapping[key] = value
    return True


def spec_hash(text: str | bytes) -> str:
    """The hash by which a served DAG is recognised as built from exactly this text: 16 hex digits of its SHA-256."""
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:16]
