"""The clients: each has separate workflows, performs one operation after the other, and records the outcomes."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

import httpx
from attrs import define, field

from tests.chaos.journal import Entry, Journal, Outcome

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

POOL: Final = "chaos_held"
"""A pool of Airflow without a slot: a run that waits in it stays active until it is stopped, and costs nothing."""

_EMPTY: Final = "  - {task_id: only, operator: empty}"
_HELD: Final = f"  - {{task_id: only, operator: bash, bash_command: 'true', pool: {POOL}}}"
_SPEC: Final = """\
version: v1
name: {name}
owner: chaos@example.com
description: {token}
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
params:
  op: {{type: string, default: none}}
tasks:
{task}
"""
_FIRST_DAY: Final = dt.date(2024, 1, 1)
_PATIENCE: Final = 30.0
"""Seconds in which a client looks for a replica that lives."""


def spec(name: str, token: str, *, held: bool) -> str:
    """A workflow whose runs succeed on their own, or stay active until they are stopped."""
    return _SPEC.format(name=name, token=token, task=_HELD if held else _EMPTY)


@define(kw_only=True)
class OwnWorkflow:
    """A client's record of one of its workflows."""

    name: str
    held: bool
    days: int = 0
    revised: bool = False
    runs: list[str] = field(factory=list)
    backfills: list[str] = field(factory=list)


class Client:
    """One client. Its operations on one workflow never overlap, so that their result is determined.

    Args:
        urls: the replicas.
        wanted: returns the operations that lead to armed crash points; they come first.
        keys: whether each request carries an ``Idempotency-Key`` and is repeated under it until it is answered.
        publish, withdraw: put and delete an object of a CODE workflow, by name and text.
    """

    def __init__(
        self,
        number: int,
        *,
        tag: str,
        seed: int,
        urls: Sequence[str],
        journal: Journal,
        wanted: Callable[[], AbstractSet[str]],
        keys: bool,
        publish: Callable[[str, str], None],
        withdraw: Callable[[str], None],
    ) -> None:
        self._name = f"chaos.{tag}_{number}"
        self._random = Random(f"{seed} client {number}")
        self._urls = urls
        self._journal = journal
        self._wanted = wanted
        self._keys = keys
        self._publish, self._withdraw = publish, withdraw
        self._made = 0
        self._quick: list[OwnWorkflow] = []
        self._held: list[OwnWorkflow] = []
        self._published: list[str] = []
        self._http = httpx.Client(timeout=httpx.Timeout(40, connect=2), trust_env=False)
        self._steps: Mapping[str, Callable[[], object]] = {
            "register": self._register,
            "restore": self._restore,
            "run": self._run,
            "retry": self._retry,
            "stop": self._stop,
            "backfill": self._backfill,
            "pause_backfill": self._control_backfill,
            "resume_backfill": self._control_backfill,
            "stop_backfill": self._control_backfill,
            "pause": self._pause,
            "unpause": self._pause,
            "unregister": self._unregister,
            "sync": self._sync,
        }

    def everything_once(self) -> None:
        """Perform each operation once, without faults."""
        for step in dict.fromkeys(self._steps.values()):
            step()

    def work(self, until: threading.Event) -> None:
        """Perform random operations until the event is set, and prefer those that are wanted."""
        while not until.is_set():
            wanted = sorted(self._wanted() & self._steps.keys())
            choice = self._random.choice(wanted if wanted and self._random.random() < 0.7 else list(self._steps))
            self._steps[choice]()

    def wind_down(self) -> None:
        """Stop all runs and backfills that would not end on their own."""
        for mine in self._held:
            for backfill in mine.backfills:
                self._insist(partial(self._post, "stop_backfill", backfill, f"/backfills/{backfill}/stop", reason=True))
            for run in mine.runs:
                self._insist(partial(self._post, "stop", run, f"/runs/{run}/stop", reason=True))
        for mine in self._held:
            self._insist(partial(self._leave, mine.name))

    def close(self) -> None:
        self._http.close()

    # Operations

    def _register(self) -> None:
        held = len(self._held) < 2 or (len(self._quick) >= 2 and self._random.random() < 0.3)
        if len(self._quick) + len(self._held) > 5:
            self._revise()
        else:
            self._new(held=held)

    def _new(self, *, held: bool) -> OwnWorkflow | None:
        self._made += 1
        name = f"{self._name}_{self._made}"
        token = _token()
        text = spec(name, token, held=held)
        entry = self._post("register", name, "/register", token=token, dataset_name=name, yaml_content=text)
        if entry.outcome is Outcome.REFUSED:
            return None
        mine = OwnWorkflow(name=name, held=held)
        (self._held if held else self._quick).append(mine)
        return mine

    def _revise(self) -> OwnWorkflow | None:
        mine = self._any(held=False)
        if mine is None:
            return None
        token = _token()
        text = spec(mine.name, token, held=False)
        body: dict[str, Any] = {"dataset_name": mine.name, "yaml_content": text, "force": True}
        entry = self._post("revise", mine.name, "/register", token=token, **body)
        # If the registration had no response and no effect, this is the first revision.
        return mine if entry.outcome is Outcome.ACCEPTED and (entry.answer.get("revision") or 1) > 1 else None

    def _restore(self) -> None:
        mine = self._revise()
        if mine is not None:
            self._post("restore", mine.name, f"/{mine.name}/revisions/1/restore")

    def _run(self, *, held: bool = False) -> str | None:
        mine = self._any(held=held)
        if mine is None:
            return None
        token = _token()
        entry = self._post("run", mine.name, f"/{mine.name}/run", token=token, params={"op": token})
        if entry.outcome is not Outcome.ACCEPTED:
            return None
        mine.runs.append(entry.answer["run_id"])
        return mine.runs[-1]

    def _retry(self) -> None:
        mine = self._any(held=False)
        if mine is None:
            return
        if not mine.runs:
            self._run()
        for run in mine.runs[:1]:
            if self._ended(run, within=8):
                mine.runs.remove(run)
                self._post("retry", run, f"/runs/{run}/retry", only_failed=False)

    def _stop(self) -> None:
        run = self._run(held=True)
        if run is None:
            return
        if self._random.random() < 0.5:
            time.sleep(self._random.uniform(0, 2))
        if self._post("stop", run, f"/runs/{run}/stop", reason=True).outcome is Outcome.ACCEPTED:
            for mine in self._held:
                if run in mine.runs:
                    mine.runs.remove(run)

    def _backfill(self, *, held: bool = False) -> str | None:
        mine = self._any(held=held)
        if mine is None:
            return None
        token = _token()
        first = _FIRST_DAY + dt.timedelta(days=mine.days)
        days = 3 if held else self._random.randint(1, 3)
        mine.days += days
        body: dict[str, Any] = {
            "start_date": first.isoformat(),
            "end_date": (first + dt.timedelta(days=days - 1)).isoformat(),
            "parallel": not held and self._random.random() < 0.5,
            "params": {"op": token},
        }
        entry = self._post("backfill", mine.name, f"/{mine.name}/backfill", token=token, **body)
        if entry.outcome is not Outcome.ACCEPTED:
            return None
        if held:
            mine.backfills.append(entry.answer["backfill_id"])
        return str(entry.answer["backfill_id"])

    def _control_backfill(self) -> None:
        backfill = self._backfill(held=True)
        if backfill is not None:
            self._post("pause_backfill", backfill, f"/backfills/{backfill}/pause", reason=True)
            self._post("resume_backfill", backfill, f"/backfills/{backfill}/resume")
            if (
                self._post("stop_backfill", backfill, f"/backfills/{backfill}/stop", reason=True).outcome
                is Outcome.ACCEPTED
            ):
                for mine in self._held:
                    if backfill in mine.backfills:
                        mine.backfills.remove(backfill)

    def _pause(self) -> None:
        mine = self._any(held=False)
        if mine is not None:
            self._post("pause", mine.name, f"/{mine.name}/pause", reason=True)
            self._insist(lambda: self._post("unpause", mine.name, f"/{mine.name}/unpause"))

    def _unregister(self) -> None:
        herd = max(self._quick, self._held, key=len)
        if len(herd) < 2:
            self._new(held=herd is self._held)
            herd = max(self._quick, self._held, key=len)
        if herd:
            mine = herd[0]
            (self._held if mine.held else self._quick).remove(mine)
            if self._leave(mine.name).outcome is not Outcome.ACCEPTED:
                (self._held if mine.held else self._quick).append(mine)

    def _leave(self, name: str) -> Entry:
        return self._ask("unregister", name, "DELETE", f"/{name}?force=true", _token(), None)

    def _sync(self) -> None:
        if len(self._published) > 1 and self._random.random() < 0.5:
            name = self._published.pop(0)
            self._withdraw(name)
            self._journal.add(
                Entry(token=_token(), kind="withdraw", subject=name, outcome=Outcome.ACCEPTED, at=time.time())
            )
        else:
            self._made += 1
            name, token = f"{self._name}_code{self._made}", _token()
            self._publish(name, spec(name, token, held=False))
            self._journal.add(
                Entry(token=token, kind="publish", subject=name, outcome=Outcome.ACCEPTED, at=time.time())
            )
            self._published.append(name)
        self._post("sync", "code", "/sync")

    # Requests

    def _any(self, *, held: bool) -> OwnWorkflow | None:
        herd = self._held if held else self._quick
        return self._random.choice(herd) if herd else self._new(held=held)

    def _ended(self, run: str, *, within: float) -> bool:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                answer = self._http.get(f"{self._url()}/api/v1/workflows/runs/{run}")
                if answer.is_success and answer.json()["status"] in {"SUCCESS", "FAILED"}:
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        return False

    def _insist(self, ask: Callable[[], Entry]) -> None:
        """Repeat the request until its outcome is final."""
        for _ in range(40):
            entry = ask()
            if entry.outcome is Outcome.ACCEPTED or (entry.status or 500) < 500:
                return
            time.sleep(0.3)

    def _post(self, kind: str, subject: str, path: str, *, token: str = "", reason: bool = False, **body: Any) -> Entry:
        token = token or _token()
        if reason:
            body["reason"] = token
        return self._ask(kind, subject, "POST", path, token, body or None)

    def _ask(
        self, kind: str, subject: str, method: str, path: str, token: str, body: Mapping[str, Any] | None
    ) -> Entry:
        headers = {"Idempotency-Key": token} if self._keys else {}
        deadline = time.monotonic() + _PATIENCE
        outcome, status, answer, unsure = Outcome.UNKNOWN, None, {}, False
        while time.monotonic() < deadline:
            url = f"{self._url()}/api/v1/workflows{path}"
            try:
                response = self._http.request(method, url, json=body, headers=headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):  # certainly not sent
                time.sleep(0.1)
                continue
            except httpx.HTTPError:
                if self._keys:
                    unsure = True
                    continue
                break
            status, answer = response.status_code, response.json()
            if self._keys and answer.get("code") in {"IDEMPOTENCY_KEY_IN_USE", "DATABASE_OUTCOME_UNKNOWN"}:
                unsure = True
                time.sleep(0.2)
                continue
            if unsure and status == 503:  # of this attempt; an earlier one under the same key may have had its effect
                time.sleep(0.2)
                continue
            outcome = Outcome.ACCEPTED if response.is_success else Outcome.REFUSED
            if status == 500 or answer.get("code") == "DATABASE_OUTCOME_UNKNOWN":
                outcome = Outcome.UNKNOWN
            break
        entry = Entry(
            token=token, kind=kind, subject=subject, outcome=outcome, status=status, answer=answer, at=time.time()
        )
        self._journal.add(entry)
        if (
            answer.get("code") == "WORKFLOW_NOT_FOUND"
        ):  # an unanswered registration had no effect, or an unanswered unregistration had one
            self._quick = [mine for mine in self._quick if mine.name != subject]
            self._held = [mine for mine in self._held if mine.name != subject]
        return entry

    def _url(self) -> str:
        return self._random.choice(self._urls)


def _token() -> str:
    return uuid.uuid4().hex
