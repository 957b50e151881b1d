"""The stored form of a spec: the user's text, comments and order kept, made complete with the registered values."""

from __future__ import annotations

import hashlib
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import ScalarString

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ruamel.yaml.nodes import ScalarNode

_WIDTH: Final = 10_000
"""Wide enough that no line of the user's is folded anew."""


def complete(text: str, values: Mapping[str, Any]) -> str:
    """Return ``text`` with each of ``values`` set at the top level, over what the text says.

    ``text`` must already have passed :func:`~workflow_core.domain.spec.parse.parse_spec`. Comments and the order of keys
    survive; a mapping such as ``schedule`` is merged key by key; values that already stand there leave the text untouched.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.Constructor, yaml.Representer = _Constructor, _Representer
    yaml.preserve_quotes = True
    yaml.composer.warn_double_anchors = False
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
    if isinstance(mapping.get(key), _AsWritten):
        mapping[key] = None  # a text is given the type of the one whose place it takes
    mapping[key] = value
    return True


class _AsWritten(ScalarString):
    """A number, date or truth value as the user wrote it. ruamel's own types write some anew (``5e-324`` as ``4e-324``), fail at others
    (``-0e+3``), and take keys such as ``1`` and ``0x1`` for one.
    """

    tag_as_read: str


class _Constructor(RoundTripConstructor):
    """ruamel's, but for plain scalars that are no text."""

    def as_written(self, node: ScalarNode) -> Any:
        kept = _AsWritten(node.value, anchor=node.anchor)
        kept.tag_as_read = str(node.tag)
        return kept

    def null(self, node: ScalarNode) -> Any:
        return self.as_written(node) if node.value else self.construct_yaml_null(node)


class _Representer(RoundTripRepresenter):
    """The same the other way."""

    def as_written(self, kept: _AsWritten) -> Any:
        return self.represent_scalar(kept.tag_as_read, str(kept), anchor=kept.yaml_anchor(any=True))


for _kind in ("int", "float", "bool", "timestamp"):
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_kind}", _Constructor.as_written)
_Constructor.add_constructor("tag:yaml.org,2002:null", _Constructor.null)
_Representer.add_representer(_AsWritten, _Representer.as_written)


def spec_hash(text: str | bytes) -> str:
    """The hash by which a served DAG is recognised as built from exactly this text: 16 hex digits of its SHA-256."""
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:16]
