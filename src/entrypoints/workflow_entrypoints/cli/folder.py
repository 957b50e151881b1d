"""The files of a folder that is about to be published: which are specs, which are passed over, and which cannot be read."""

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
    """What was found below a folder: the content of each spec, why others cannot be read, and what is not taken for a spec."""

    files: dict[str, bytes] = field(factory=dict)
    unreadable: dict[str, str] = field(factory=dict)
    passed_over: list[str] = field(factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it is meant to be a spec."""
        return not self.files and not self.unreadable


def read_folder(folder: Path, wanted: str | None) -> Folder:
    """Read every ``*.yaml`` below the folder. Links to folders are not followed.

    Raises:
        InvalidRequest: a name is ``wanted``, which is for a single file.
    """
    if wanted is not None:
        raise InvalidRequest("is for a single file; in a folder the file names are the names", field="--name")
    found = Folder()

    def cannot_list(error: OSError) -> None:
        found.unreadable[str(error.filename)] = f"cannot read the folder {error.filename}: {reason_of(error)}"

    for place, folders, names in os.walk(folder, onerror=cannot_list):
        folders.sort()
        for name in sorted((*folders, *names)):
            _look_at(Path(place) / name, found)
    return found


def _look_at(path: Path, found: Folder) -> None:
    if path.suffix != _ENDING:
        if path.suffix.lower() in _SIMILAR and not path.is_dir():
            found.passed_over.append(str(path))
        return
    try:
        if path.is_dir():
            found.unreadable[str(path)] = f"{path} is a folder, and its name is that of a file; rename it"
        elif path.exists() and not path.is_file():
            found.unreadable[str(path)] = f"{path} is not a regular file"
        else:
            found.files[str(path)] = path.read_bytes()
    except OSError as error:
        found.unreadable[str(path)] = f"cannot read {path}: {reason_of(error)}"


def warnings_of(folder: Path, found: Folder) -> Sequence[str]:
    """What the person should know about a folder whose files are good."""
    told = [
        f"{path} is passed over: only files that end in {_ENDING} are published. Rename it to {Path(path).stem}{_ENDING}."
        for path in found.passed_over
    ]
    if any(Path(path).parent != folder for path in found.files):
        told.append(
            "Some files are in subfolders. A sync reads only files directly in code/: publish them without subfolders."
        )
    return told


def check_not_empty(folder: Path, found: Folder) -> None:
    """Raise :class:`InvalidRequest` for a folder without specs: to publish it would empty the store."""
    if found.is_empty:
        raise InvalidRequest(f"there is no *{_ENDING} below {folder}", field="DIR")
