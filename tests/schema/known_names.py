"""The resources of an explored service, so that generated requests refer to existing ones."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from attrs import Factory, define

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    import requests

WORKFLOWS: Final = "/api/v1/workflows"
YAML: Final = """\
version: v1
name: {name}
owner: data@example.com
team: "@data-eng"
schedule: {{cron: "{cron}", timezone: UTC}}
params: {{region: "", n: 1}}
tasks:
  - {{task_id: first, operator: bash, bash_command: "true"}}
  - {{task_id: second, operator: bash, bash_command: "true", dependencies: [first]}}
"""
PARAMETERS: Final = {"dataset_name": "names", "run_id": "run_ids", "backfill_id": "backfill_ids"}
"""Where the values of a path parameter are."""

CODE: Final = "explored.code"
"""A workflow that is published, and so may not be run or unregistered."""

LATEST: Final = 4
"""The number of latest names that are preferred, because they are active."""

_KEYS: Final = ("a", "b", "c")


def _last() -> deque[str]:
    return deque(maxlen=40)


@define
class KnownNames:
    """Names from recent responses, and their use in generated requests. ``random`` decides."""

    random: Random
    names: deque[str] = Factory(_last)
    run_ids: deque[str] = Factory(_last)
    backfill_ids: deque[str] = Factory(_last)
    cursors: defaultdict[str, deque[str]] = Factory(lambda: defaultdict(_last))
    made: int = 0
    here: str = Factory(lambda: uuid4().hex[:8])

    def plant(self, session: requests.Session, url: str) -> None:
        """Register a workflow with a stopped run, an active one and a backfill."""
        name = self.new_name()
        root = f"{url}{WORKFLOWS}"
        self._ask(
            session, f"{root}/register", {"dataset_name": name, "yaml_content": self.yaml(name)}, "registerWorkflow"
        )
        stopped = self._ask(session, f"{root}/{name}/run", {})
        self._ask(session, f"{root}/runs/{stopped['run_id']}/stop", {})
        self._ask(session, f"{root}/{name}/run", {})
        self._ask(session, f"{root}/{name}/backfill", self.dates())

    def _ask(self, session: requests.Session, url: str, body: Any, operation: str = "") -> Any:
        answer = session.post(url, json=body, timeout=60)
        answer.raise_for_status()
        self.learn(answer.json(), answer.headers, operation)
        return answer.json()

    def learn(self, answer: Any, headers: Mapping[str, str], operation: str) -> None:
        """Record the names in a successful response."""
        if 'rel="next"' in headers.get("Link", ""):
            query = urlsplit(headers["Link"].partition(">")[0].removeprefix("<")).query
            self.cursors[operation] += parse_qs(query)["cursor"]
        if not isinstance(answer, dict) or answer.get("dry_run"):
            return
        name = str(answer.get("dataset_name"))
        if operation == "registerWorkflow" and name not in self.names:
            self.names.append(name)
        if operation == "unregisterWorkflow" and name in self.names:
            self.names.remove(name)
        for parameter, kept in (("run_id", self.run_ids), ("backfill_id", self.backfill_ids)):
            if isinstance(answer.get(parameter), str) and answer[parameter] not in kept:
                kept.append(answer[parameter])
        self.run_ids.extend(answer.get("run_ids", [])[:2])

    def new_name(self) -> str:
        """An unused name."""
        self.made += 1
        return f"explored.{self.here}.w{self.made}"

    def yaml(self, name: str) -> str:
        """A valid spec with random parts, which fires on the first of January only."""
        return YAML.format(name=name, cron=f"{self.random.randrange(60)} 6 1 1 *")

    def dates(self) -> dict[str, str]:
        """A few recent days."""
        end = datetime.now(UTC).date() - timedelta(days=self.random.randrange(1, 400))
        return {"start_date": str(end - timedelta(days=self.random.randrange(3))), "end_date": str(end)}

    def happens(self, chance: float) -> bool:
        """True with this probability."""
        return self.random.random() < chance

    def one_of(self, parameter: str) -> str | None:
        """A value of a path parameter; None if there is none."""
        if parameter == "number":
            return self.random.choice("1123")
        if parameter == "dataset_name" and self.happens(0.05):
            return CODE
        found = list(getattr(self, PARAMETERS[parameter]))
        if self.happens(0.5):
            found = found[-LATEST:]
        return self.random.choice(found) if found else None

    def a_key(self) -> str:
        """An idempotency key that is used repeatedly."""
        return self.random.choice(_KEYS)
