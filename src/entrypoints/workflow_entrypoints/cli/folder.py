"""The files of a folder to publish: specs, ignored files, and files that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field

from workflow_core.errors import InvalidRequest
from workflow_entrypoints.cli.inputs import reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENDING: Final = ".yaml"
_SIMILAR: Final = frozenset({".yaml", ".yml"})


@define
class Folder:
    """The content of each spec in a folder, the reason for each unreadable file, and the ignored files."""

    files: dict[str, bytes] = field(factory=dict)
    unreadable: dict[str, str] = field(factory=dict)
    ignored: list[str] = field(factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the folder contains no spec, readable or not."""
        return not self.files and not self.unreadable


def read_folder(folder: Path, name: str | None) -> Folder:
    """Read every ``*.yaml`` below the folder. Links to folders are not followed.

    Raises:
        InvalidRequest: a dataset name is given, which is only for a single file.
    """
    if name is not None:
        raise InvalidRequest("is for a single file; in a folder the file names are the names", field="--name")
    content = Folder()

    def cannot_list(error: OSError) -> None:
        content.unreadable[str(error.filename)] = f"cannot read the folder {error.filename}: {reason_of(error)}"

    for place, folders, files in os.walk(folder, onerror=cannot_list):
        folders.sort()
        for entry in sorted((*folders, *files)):
            _add(Path(place) / entry, content)
    return content


def _add(path: Path, content: Folder) -> None:
    if path.suffix != _ENDING:
        if path.suffix.lower() in _SIMILAR and not path.is_dir():
            content.ignored.append(str(path))
        return
    try:
        if path.is_dir():
            content.unreadable[str(path)] = f"{path} is a folder, and its name is that of a file; rename it"
        elif path.exists() and not path.is_file():
            content.unreadable[str(path)] = f"{path} is not a regular file"
        else:
            content.files[str(path)] = path.read_bytes()
    except OSError as error:
        content.unreadable[str(path)] = f"cannot read {path}: {reason_of(error)}"


def warnings_of(folder: Path, content: Folder) -> Sequence[str]:
    """Return warnings about files that will not be published or read."""
    warnings = [
        f"{path} is ignored: only files that end in {_ENDING} are published. Rename it to {Path(path).stem}{_ENDING}."
        for path in content.ignored
    ]
    if any(Path(path).parent != folder for path in content.files):
        warnings.append(
            "Some files are in subfolders. A sync reads only files directly in code/: publish them without subfolders."
        )
    return warnings


def check_not_empty(folder: Path, content: Folder) -> None:
    """Raise :class:`InvalidRequest` for a folder without specs, because publishing it would empty the store."""
    if content.is_empty:
        raise InvalidRequest(f"there is no *{_ENDING} below {folder}", field="DIR")
