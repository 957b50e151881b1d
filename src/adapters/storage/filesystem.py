"""``StoragePort`` in a folder, for one host or a shared file system."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.storage.errors import os_errors
from workflow_core.domain.stored import name_of_file, object_path, source_folder, stored_text
from workflow_core.errors import StorageConflict, StorageUnavailable
from workflow_core.ports.storage import StoredRef, StoredSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflow_core.domain.workflow import SourceType


# no such entry, a symbolic link, a folder or a socket in the place of the file
_NO_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO})


class FilesystemStorage:
    """:class:`~workflow_core.ports.storage.StoragePort` below ``root``; threads and processes may share it.

    Writers hold a lock on a file beside the objects, so that a conditional write is one step for all processes of the host.
    A write goes to a file of another name, is forced to the disk and then renamed: readers need no lock. An ETag is the hash of
    the content. Symbolic links are not followed.
    """

    def __init__(self, root: Path, prefix: str = "workflows") -> None:
        self._root = root.absolute()
        self._prefix = prefix

    def url(self, source: SourceType, dataset_name: str) -> str:
        """As the port says."""
        return self._path(source, dataset_name).as_uri()

    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        """As the port says."""
        path, data = self._path(source, dataset_name), text.encode()
        with os_errors(), self._only_writer():
            there = _read(path)
            if (None if there is None else _etag(there)) != expected:
                raise StorageConflict(path.as_uri())
            if there != data:
                _replace(path, data)
        return _etag(data)

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        """As the port says."""
        with os_errors():
            self.check()
            data = _read(self._path(source, dataset_name), limit + 1)
        return None if data is None else StoredSpec(text=stored_text(data, limit), etag=_etag(data))

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        """As the port says."""
        with os_errors():
            self.check()
            return _ref(self._path(source, dataset_name), source, dataset_name)

    def delete(self, source: SourceType, dataset_name: str) -> bool:
        """As the port says."""
        path = self._path(source, dataset_name)
        with os_errors(), self._only_writer():
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _sync_folder(path.parent)
            return True

    def list(self, source: SourceType) -> Iterator[StoredRef]:
        """As the port says. A root that does not exist (any more) is an error, not an empty store."""
        folder = self._root / source_folder(self._prefix, source)
        with os_errors():
            self.check()
            names = (
                sorted(filter(None, (name_of_file(path.name) for path in folder.iterdir()))) if folder.is_dir() else []
            )
            found = [ref for name in names if (ref := _ref(self._path(source, name), source, name))]
        yield from found

    def check(self) -> None:
        """As the port says. The folder is made by the first write; until then its parent must be there."""
        with os_errors():
            if not (self._root.is_dir() or self._root.parent.is_dir()):
                raise StorageUnavailable(f"The folder {self._root} does not exist.")
            if self._root.is_dir():
                next(self._root.iterdir(), None)

    def _path(self, source: SourceType, dataset_name: str) -> Path:
        return self._root / object_path(self._prefix, source, dataset_name)

    @contextlib.contextmanager
    def _only_writer(self) -> Iterator[None]:
        """Hold the one writers' lock of this store; each holder has a file description of its own, so threads exclude each other, too."""
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path, limit: int = -1) -> bytes | None:
    """The file's content; None if there is none, or something else than a file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    with os.fdopen(handle, "rb") as file:
        return file.read(limit) if stat.S_ISREG(os.fstat(handle).st_mode) else None


def _ref(path: Path, source: SourceType, dataset_name: str) -> StoredRef | None:
    data = _read(path)
    if data is None:
        return None
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return StoredRef(source=source, dataset_name=dataset_name, etag=_etag(data), size=len(data), modified_at=modified)


def _replace(path: Path, data: bytes) -> None:
    """Write, force to the disk, rename, and force the rename: what returned survives a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, half = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".half")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(half).chmod(0o644)  # mkstemp's 0600 would hide it from Airflow's user
        Path(half).replace(path)
    except BaseException:
        Path(half).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
