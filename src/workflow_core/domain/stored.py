"""The location of a workflow's YAML in an object store, and its allowed content."""

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
    """Return the dataset name of a file in a source's folder; None if the file name contains none."""
    if not file_name.endswith(ENDING):
        return None
    try:
        return check_dataset_name(file_name.removesuffix(ENDING))
    except InvalidRequest:
        return None


def stored_text(data: bytes, limit: int) -> str:
    """Return the text of an object; raise :class:`InvalidWorkflowSpec` if it has more than ``limit`` bytes or is not UTF-8."""
    if len(data) > limit:
        raise InvalidWorkflowSpec(f"the stored YAML is larger than the allowed {limit} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidWorkflowSpec(f"the stored YAML is not UTF-8: byte {error.start + 1} cannot be read") from None
