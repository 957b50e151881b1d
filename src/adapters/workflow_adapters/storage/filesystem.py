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

from workflow_adapters.storage.errors import os_errors
from workflow_core.domain.names import check_dataset_name
from workflow_core.domain.stored import name_of_file, object_path, source_folder, stored_text
from workflow_core.errors import StorageConflict, StorageUnavailable
from workflow_core.ports.storage import StoredRef, StoredSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from workflow_core.domain.workflow import SourceType


# no such entry, a symbolic link, or a socket instead of the file
_NO_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO})


class FilesystemStorage:
    """:class:`~workflow_core.ports.storage.StoragePort` below ``root``; threads and processes may share it.

    Writers hold a lock on a file beside the objects, so that a conditional write is atomic for all processes of the
    host. A write goes to a file of another name, is forced to the disk and then renamed: readers need no lock. An ETag
    is the hash of the content. ``root`` itself may be a symbolic link; below it none is followed, and only regular
    files count.
    """

    def __init__(self, root: Path, prefix: str = "workflows") -> None:
        self._root = root.absolute()
        self._prefix = prefix

    def url(self, source: SourceType, dataset_name: str) -> str:
        return self._path(source, dataset_name).as_uri()

    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        path, data = self._path(source, dataset_name), text.encode()
        etag = hashlib.sha256(data).hexdigest()
        with os_errors(), self._only_writer():
            self._no_link(path.parent)
            current = _ref(path, source, dataset_name)
            if (current.etag if current else None) != expected:
                raise StorageConflict(path.as_uri())
            if current and current.etag == etag:
                _sync_folder(path.parent)  # its writer may have died before this step
            else:
                _replace(path, data)
        return etag

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        path = self._path(source, dataset_name)
        with os_errors():
            self.check()
            self._no_link(path.parent)
            file = _open(path)
            if file is None:
                return None
            with file:
                data = file.read(limit + 1)
        return StoredSpec(text=stored_text(data, limit), etag=hashlib.sha256(data).hexdigest())

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        path = self._path(source, dataset_name)
        with os_errors():
            self.check()
            self._no_link(path.parent)
            return _ref(path, source, dataset_name)

    def delete(self, source: SourceType, dataset_name: str) -> bool:
        path = self._path(source, dataset_name)
        with os_errors(), self._only_writer():
            self._no_link(path.parent)
            try:
                if not stat.S_ISREG(path.lstat().st_mode):
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
            _sync_folder(path.parent)
            return True

    def list(self, source: SourceType) -> Iterator[StoredRef]:
        """A missing folder is an empty list; one that cannot be read is an error."""
        folder = self._root / source_folder(self._prefix, source)
        with os_errors():
            self.check()
            self._no_link(folder)
            try:
                names = sorted(filter(None, (name_of_file(path.name) for path in folder.iterdir())))
            except FileNotFoundError:
                names = []
            refs = [ref for name in names if (ref := _ref(self._path(source, name), source, name))]
        yield from refs

    def check(self) -> None:
        """The first write makes the folder; until then its parent must exist."""
        with os_errors():
            try:
                next(self._root.iterdir(), None)
            except FileNotFoundError:
                if not self._root.parent.is_dir():
                    raise StorageUnavailable(f"The folder {self._root} does not exist.") from None

    def _path(self, source: SourceType, dataset_name: str) -> Path:
        """Return the path of the file. An illegal name has none, so that no path leads out of the root."""
        return self._root / object_path(self._prefix, source, check_dataset_name(dataset_name))

    def _no_link(self, folder: Path) -> None:
        """Refuse a folder that is, or is in, a symbolic link below the root: it may lead anywhere."""
        if os.path.realpath(folder) != os.path.join(os.path.realpath(self._root), folder.relative_to(self._root)):  # noqa: PTH118 - resolve() raises on loops
            raise StorageUnavailable("The object store's folder has a symbolic link instead of a folder.")

    @contextlib.contextmanager
    def _only_writer(self) -> Iterator[None]:
        """Hold the writers' lock of this store. Each holder opens the file anew, so that threads also exclude each
        other.
        """
        _make_folder(self._root)
        lock = os.open(self._root / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _open(path: Path) -> BufferedReader | None:
    """Open the file for reading; None if it is missing or not a regular file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # checked before fdopen, which refuses a folder and leaks the handle
        os.close(handle)
        return None
    return os.fdopen(handle, "rb")


def _ref(path: Path, source: SourceType, dataset_name: str) -> StoredRef | None:
    """Return the facts of a listing. All come from one handle: the file may be replaced or removed concurrently."""
    file = _open(path)
    if file is None:
        return None
    with file:
        etag = hashlib.file_digest(file, "sha256").hexdigest()
        size, modified = file.tell(), datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    return StoredRef(source=source, dataset_name=dataset_name, etag=etag, size=size, modified_at=modified)


def _replace(path: Path, data: bytes) -> None:
    """Write, force to the disk, rename, and force the rename: a completed write survives a crash."""
    _make_folder(path.parent)
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


def _make_folder(folder: Path) -> None:
    """Make the folder and its missing parents, each forced to the disk: a file is no safer than its folder."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
