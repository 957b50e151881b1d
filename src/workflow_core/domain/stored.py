"""Where the YAML of a workflow is kept in an object store, and what may be in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflow_core.domain.names import check_dataset_name
from workflow_core.errors import InvalidRequest, InvalidWorkflowSpec

if TYPE_CHECKING:
    from workflow_core.domain.workflow import SourceType

ENDING: Final = ".yaml"


def source_folder(prefix: str, source: SourceType) -> str:
    """``{prefix}/manual/`` or ``{prefix}/code/``; without the prefix if that is empty."""
    return f"{prefix}/{source.lower()}/" if prefix else f"{source.lower()}/"


def object_path(prefix: str, source: SourceType, dataset_name: str) -> str:
    """``{prefix}/{manual|code}/{dataset_name}.yaml`` (specification, section 7)."""
    return f"{source_folder(prefix, source)}{dataset_name}{ENDING}"


def name_of_file(file_name: str) -> str | None:
    """The dataset name that a file in a source's folder is for; None if it is for none."""
    if not file_name.endswith(ENDING):
        return None
    try:
        return check_dataset_name(file_name.removesuffix(ENDING))
    except InvalidRequest:
        return None


def stored_text(data: bytes, limit: int) -> str:
    """The text of an object; raises :class:`InvalidWorkflowSpec` if it has more than ``limit`` bytes or is not UTF-8."""
    if len(data) > limit:
        raise InvalidWorkflowSpec(f"the stored YAML has more than the {limit} bytes that are allowed")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidWorkflowSpec(f"the stored YAML is not UTF-8: byte {error.start + 1} cannot be read") from None
