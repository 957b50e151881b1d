"""A world for tests of CODE workflows: what is published in the object store, and how often it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.world import NAME, World, a_spec
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.spec import spec_hash
from workflow_core.domain.workflow import SourceType
from workflow_core.fakes import InMemoryStorage

if TYPE_CHECKING:
    from workflow_core.domain.code import SyncReport

CI = Caller(name="ci")


BROKEN = "version: v1\nname: daily_clicks\nowner: x\nschedule: {cron: 0 6 * * *}\ntasks: [{task_id: a, operator: os.system}]\n"


def text_of(name: str = NAME, *, owner: str = "ci@example.com") -> str:
    """A workflow of two tasks."""
    return a_spec(name, "first", "second", command="sleep 5", owner=owner)


class CountingStorage(InMemoryStorage):
    """A store that counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def get(self, source, dataset_name, *, limit):
        self.calls.append(f"get {dataset_name}")
        return super().get(source, dataset_name, limit=limit)

    def stat(self, source, dataset_name):
        self.calls.append(f"stat {dataset_name}")
        return super().stat(source, dataset_name)

    def list(self, source):
        self.calls.append(f"list {source}")
        return super().list(source)


class Synced(World):
    """Nothing is registered; a task takes five seconds."""

    def publish(self, *names: str, text: str | None = None, owner: str = "ci@example.com") -> None:
        for name in names:
            data = text if text is not None else text_of(name, owner=owner)
            self.storage.put_raw(SourceType.CODE, name, data.encode())

    def withdraw(self, *names: str) -> None:
        for name in names:
            assert self.storage.delete(SourceType.CODE, name)

    def sync(self, *, settle: bool = True, **options: bool) -> SyncReport:
        report: SyncReport = self.usecases.sync(caller=CI, **options)
        if settle:
            self.settle()
        return report

    def settle(self) -> None:
        for _ in range(3):
            self.sweeper.sweep()
            self.clock.sleep(2)

    def register_manual(self, name: str = NAME) -> Any:
        return self.register(name, text_of(name, owner="manual@example.com"))

    def found(self, name: str = NAME) -> Any:
        return self.database.workflows.workflow(name)

    def names(self) -> list[str]:
        page = self.database.workflows.list_workflows(WorkflowFilter(), PageRequest(limit=500))
        return [workflow.dataset_name for workflow in page.items]

    def owner_served(self, name: str = NAME) -> str:
        """Whose spec Airflow serves."""
        dag = self.airflow.dag(name.replace(".", "_"))
        for source in SourceType:
            data = self.storage.raw(source, name)
            if data and dag and dag.spec_hash == spec_hash(data):
                return str(source)
        return "nobody"


def told(report: SyncReport) -> dict[str, Any]:
    """What a report says that is not empty; failures and what is held back by name."""
    words = ("added", "changed", "removed", "overridden", "restored")
    found: dict[str, Any] = {word: list(getattr(report, word)) for word in words if getattr(report, word)}
    found |= {"failed": [one.dataset_name for one in report.failed]} if report.failed else {}
    found |= {"guarded": [list(one.dataset_names) for one in report.guarded]} if report.guarded else {}
    found |= {"unchanged": report.unchanged} if report.unchanged else {}
    return found


def a_synced_world(**policy: Any) -> Synced:
    return Synced.of(storage=CountingStorage(), task_seconds=5, **policy)
