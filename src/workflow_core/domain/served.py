"""The mark of a DAG in Airflow: the hash of the spec from which it was built, and the error if it could not be built.

The mark is the last line of ``doc_md``. Unlike tags and the DAG's row, Airflow reads ``doc_md`` from the *served* definition, so a
mark that is read back proves that Airflow serves exactly that spec (Airflow delays re-serialisation of known DAGs by
``min_serialized_dag_update_interval``).
"""

from __future__ import annotations

import json
import re

from attrs import frozen

_MARK = re.compile(r"<!-- workflow-core (\{.*\}) -->\s*\Z")
_MAX_ERROR = 2000


@frozen(kw_only=True)
class ServedMark:
    """``spec_hash`` as of :func:`workflow_core.domain.spec.spec_hash`; ``error`` None if a real DAG was built."""

    spec_hash: str
    error: str | None = None

    def text(self) -> str:
        """The mark as a line of ``doc_md``, invisible when rendered. Equal marks give equal text."""
        facts = {"error": self.error[:_MAX_ERROR] if self.error else None, "spec": self.spec_hash}
        return f"<!-- workflow-core {json.dumps(facts, sort_keys=True).replace('>', chr(92) + 'u003e')} -->"


def read_mark(doc_md: str | None) -> ServedMark | None:
    """Return the mark in a DAG's ``doc_md``; None if it has none."""
    match = _MARK.search(doc_md or "")
    if match is None:
        return None
    try:
        facts = json.loads(match.group(1))
    except ValueError:
        return None
    if not isinstance(facts, dict) or not isinstance(facts.get("spec"), str):
        return None
    error = facts.get("error")
    return ServedMark(spec_hash=facts["spec"], error=error if isinstance(error, str) else None)
