"""Direct access to the fake of ``StoragePort``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.stored import name_of_file
from workflow_core.domain.workflow import SourceType

if TYPE_CHECKING:
    from workflow_core.fakes.storage import InMemoryStorage


@frozen
class BehindMemory:
    """Reads and writes by path. The fake ignores paths that do not belong to a workflow."""

    fake: InMemoryStorage
    prefix_url: str = "memory://workflows/"

    def write(self, path: str, data: bytes) -> None:
        folder, _, file = path.partition("/")
        if name := name_of_file(file):
            self.fake.put_raw(SourceType(folder.upper()), name, data)

    def read(self, path: str) -> bytes | None:
        folder, _, file = path.partition("/")
        return self.fake.raw(SourceType(folder.upper()), file.removesuffix(".yaml"))
