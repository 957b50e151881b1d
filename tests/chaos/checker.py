"""Compares the journal of all requests with the final state of the three systems."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from tests.chaos.journal import Entry, Journal, Outcome
from workflow_core.domain.names import dag_id_for
from workflow_core.domain.run import NOT_RETRIED
from workflow_core.domain.spec import spec_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.chaos.systems import Row, Snapshot

STATES: Final = {"SUCCESS": "success", "FAILED": "failed"}
"""Airflow's state for each final status of the service."""

ENDED_TASKS: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

NEVER_SENT: Final = frozenset({"cancelled"})


@define(kw_only=True)
class Verdict:
    """The violations of the guarantees, each as a line of text; a correct service has none."""

    lost: list[str] = field(factory=list)
    """Accepted requests without an effect."""
    doubled: list[str] = field(factory=list)
    """Requests with more than one effect."""
    lied: list[str] = field(factory=list)
    """Responses of the service that differ from the facts."""
    unsettled: list[str] = field(factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.lied or self.unsettled)

    def lines(self) -> list[str]:
        return [f"{name}: {line}" for name in ("lost", "doubled", "lied", "unsettled") for line in getattr(self, name)]


def check(journal: Journal, seen: Snapshot, unsettled: Sequence[str], at_once: Sequence[str]) -> Verdict:
    """Verify the journal against the systems; ``unsettled`` are unfinished items, ``at_once`` are items on which two
    processes worked at the same time.
    """
    checker = _Checker(journal, seen)
    checker.verdict.unsettled = list(unsettled)
    checker.verdict.doubled = list(at_once)
    checker.runs()
    checker.backfills()
    checker.run_states()
    checker.stops()
    checker.retries()
    checker.registrations()
    checker.restores()
    checker.removals()
    checker.pauses()
    checker.code()
    checker.served()
    checker.errors()
    return checker.verdict


class _Checker:
    def __init__(self, journal: Journal, seen: Snapshot) -> None:
        self.verdict = Verdict()
        self._journal = journal
        self._seen = seen
        self._runs = {row["run_id"]: row for row in seen.runs}
        self._latest: dict[str, Row] = {}
        for row in sorted(seen.workflows, key=lambda row: row["registered_at"]):
            self._latest[row["dataset_name"]] = row
        self._theirs: dict[str, list[Row]] = defaultdict(list)
        for run in seen.their_runs:
            self._theirs[_ours(run["dag_run_id"])].append(run)
        self._by_token: dict[str, list[Row]] = defaultdict(list)
        for row in seen.runs:
            self._by_token[row["params"].get("op", "")].append(row)

    # One check for each kind of operation

    def runs(self) -> None:
        rows = {token: [row for row in found if not row["backfill_id"]] for token, found in self._by_token.items()}
        for entry in self._journal.entries("run"):
            found = rows.get(entry.token, [])
            self._count(entry, len(found), "row")
            if entry.outcome is Outcome.ACCEPTED and found and found[0]["run_id"] != entry.answer["run_id"]:
                self.verdict.lied.append(f"run {entry.answer['run_id']} is {found[0]['run_id']}")
        known = {entry.token for entry in self._journal.entries("run", "backfill")}
        for row in self._seen.runs:
            self._in_airflow(row)
            if row["params"].get("op") not in known and row["run_type"] != "scheduled":
                self.verdict.doubled.append(f"run {row['run_id']} has no request")

    def backfills(self) -> None:
        rows = Counter(row["params"].get("op") for row in self._seen.backfills)
        for entry in self._journal.entries("backfill"):
            self._count(entry, rows[entry.token], "backfill")
            slots = [row["run_id"] for row in self._by_token.get(entry.token, ())]
            if entry.outcome is Outcome.ACCEPTED and sorted(slots) != sorted(entry.answer["run_ids"]):
                self.verdict.lied.append(f"{entry.answer['backfill_id']} reported other runs than it has")

    def run_states(self) -> None:
        """Each final status in the service agrees with Airflow, and each run in Airflow is recorded."""
        for run_id, found in self._theirs.items():
            if run_id not in self._runs and not _known_elsewhere(found[0], self._seen.runs):
                self.verdict.lied.append(f"run {run_id} is in Airflow, and not recorded")
        for row in self._seen.runs:
            theirs = self._theirs.get(_ours(row["airflow_run_id"]), [])
            keys = [(run["dag_id"], run["dag_run_id"]) for run in theirs]
            tasks = [task["state"] for key in keys for task in self._seen.their_tasks.get(key, ())]
            message = (
                f"run {row['run_id']} is {row['status']}, in Airflow {theirs[0]['state'] if theirs else ''} {tasks}"
            )
            # Airflow's scheduler may mark a stopped run as a success: then the tasks decide (ADR 12).
            if row["status"] == "STOPPED" and theirs and (not ENDED_TASKS.issuperset(tasks) or {*tasks} == {"success"}):
                self.verdict.lied.append(message)
            if row["status"] in STATES and theirs and STATES[row["status"]] != theirs[0]["state"]:
                self.verdict.lied.append(message)

    def stops(self) -> None:
        for entry in self._journal.entries("stop"):
            row = self._runs.get(entry.subject)
            if row is None:
                continue  # already reported as lost by the check of runs
            if entry.outcome is Outcome.ACCEPTED and row["status"] != "STOPPED" and row["reason"] is None:
                self.verdict.lost.append(f"stop of {entry.subject}: it is {row['status']}")
            if entry.outcome is Outcome.REFUSED and row["stop_reason"] == entry.token:
                self.verdict.lied.append(f"stop of {entry.subject} was refused ({entry.status}), and done")
        for entry in self._journal.entries("stop_backfill"):
            slots = [row for row in self._seen.runs if row["backfill_id"] == entry.subject]
            if entry.outcome is Outcome.ACCEPTED and any(row["status"] not in {"STOPPED", "SUCCESS"} for row in slots):
                self.verdict.lost.append(f"stop of {entry.subject}: {Counter(row['status'] for row in slots)}")

    def retries(self) -> None:
        asked: dict[str, list[Entry]] = defaultdict(list)
        for entry in self._journal.entries("retry"):
            asked[entry.subject].append(entry)
        for row in self._seen.runs:
            entries = asked.get(row["run_id"], [])
            wanted = row["retry"]["number"] if row["retry"] else 0
            self._within(entries, wanted, f"retries of {row['run_id']}")
            cleared = sum(run["clear_number"] for run in self._theirs.get(_ours(row["airflow_run_id"]), ()))
            if cleared > wanted:
                self.verdict.doubled.append(f"run {row['run_id']} was cleared {cleared} times for {wanted} retries")
            # Unregistering a workflow can stop a run before its retry; the run then contains this reason.
            if cleared < wanted - (row["reason"] == NOT_RETRIED):
                self.verdict.lost.append(f"run {row['run_id']} was cleared {cleared} times for {wanted} retries")

    def registrations(self) -> None:
        for entry in self._journal.entries("register", "revise"):
            found = [row for row in self._seen.revisions if entry.token in row["yaml"] and not row["restored_from"]]
            self._count(entry, len(found), "revision")

    def restores(self) -> None:
        asked: dict[str, list[Entry]] = defaultdict(list)
        for entry in self._journal.entries("restore"):
            asked[entry.subject].append(entry)
        for name, entries in asked.items():
            # includes former workflows of the name: after an unregistration of unknown outcome, a client may register a new one
            holders = {row["id"] for row in self._seen.workflows if row["dataset_name"] == name}
            made = sum(one["workflow_id"] in holders and bool(one["restored_from"]) for one in self._seen.revisions)
            self._within(entries, made, f"restores of {name}")

    def removals(self) -> None:
        for entry in self._journal.entries("unregister"):
            row = self._latest.get(entry.subject)
            gone = row is None or row["removed_at"] is not None
            if entry.outcome is Outcome.ACCEPTED and not gone:
                self.verdict.lost.append(f"unregistering {entry.subject}")
        asked = {entry.subject for entry in self._journal.entries("unregister") if entry.outcome is not Outcome.REFUSED}
        for name, row in self._latest.items():
            if row["removed_at"] is not None and row["source_type"] == "MANUAL" and name not in asked:
                self.verdict.lied.append(f"{name} is unregistered, and every request to do so was refused")

    def pauses(self) -> None:
        for name, row in self._latest.items():
            possible = {False}
            for entry in self._journal.entries("pause", "unpause"):
                if entry.subject == name and entry.outcome is not Outcome.REFUSED:
                    wanted = {entry.kind == "pause"}
                    possible = wanted if entry.outcome is Outcome.ACCEPTED else possible | wanted
            paused = row["paused_at"] is not None
            if paused not in possible:
                self.verdict.lost.append(f"{name} is {'paused' if paused else 'not paused'}, against the last answer")

    def code(self) -> None:
        published: dict[str, bool] = {}
        for entry in self._journal.entries("publish", "withdraw"):
            published[entry.subject] = entry.kind == "publish"
        for name, there in published.items():
            row = self._latest.get(name)
            if there and (row is None or row["removed_at"] is not None or row["source_type"] != "CODE"):
                self.verdict.lost.append(f"CODE workflow {name} is published and not imported")
            if not there and row is not None and row["removed_at"] is None:
                self.verdict.lost.append(f"CODE workflow {name} is withdrawn and still there")
        for entry in self._journal.entries("sync"):
            for name in entry.answer.get("added", ()) if entry.outcome is Outcome.ACCEPTED else ():
                if name not in self._latest:
                    self.verdict.lied.append(f"a sync reported that it added {name}")

    def served(self) -> None:
        """Each live workflow is in the store and in Airflow as recorded; nothing is left of the others."""
        live = {name: row for name, row in self._latest.items() if row["phase"] not in {"leaving", "gone"}}
        for name, row in live.items():
            key = f"{row['source_type'].lower()}/{name}.yaml"
            dag = self._seen.dags.get(dag_id_for(name))
            if self._seen.objects.get(key) != row["yaml"]:
                self.verdict.lost.append(f"{key} is not what is recorded")
            if dag is None or dag["spec"] != spec_hash(row["yaml"]):
                self.verdict.lost.append(f"the DAG of {name} is not the recorded one: {dag and dag['spec']}")
            elif dag["is_paused"] != (row["paused_at"] is not None) and not self._drains(row):
                self.verdict.lied.append(f"the DAG of {name} has is_paused={dag['is_paused']}, against the record")
        for key in self._seen.objects:
            if key.partition("/")[2].removesuffix(".yaml") not in live:
                self.verdict.lost.append(f"{key} is left behind")
        for dag_id in self._seen.dags.keys() - {dag_id_for(name) for name in live}:
            self.verdict.lost.append(f"DAG {dag_id} is left behind")

    def errors(self) -> None:
        for entry in self._journal.entries():
            if entry.status == 500:
                self.verdict.lied.append(f"{entry.kind} of {entry.subject} was answered 500")

    # Helpers

    def _drains(self, row: Row) -> bool:
        """Whether a pause waits for active runs in Airflow."""
        theirs = [run for run in self._seen.their_runs if run["dag_id"] == dag_id_for(row["dataset_name"])]
        return row["paused_at"] is not None and any(run["state"] in {"queued", "running"} for run in theirs)

    def _count(self, entry: Entry, found: int, what: str) -> None:
        message = f"{entry.kind} of {entry.subject} ({entry.status} {entry.answer.get('code', '')}): {found} {what}s"
        if found > 1:
            self.verdict.doubled.append(message)
        elif entry.outcome is Outcome.ACCEPTED and found < 1:
            self.verdict.lost.append(message)
        elif entry.outcome is Outcome.REFUSED and found:
            self.verdict.lied.append(message)

    def _within(self, entries: Iterable[Entry], found: int, what: str) -> None:
        counted = Counter(entry.outcome for entry in entries)
        least, most = counted[Outcome.ACCEPTED], counted[Outcome.ACCEPTED] + counted[Outcome.UNKNOWN]
        if found < least:
            self.verdict.lost.append(f"{what}: {found} of {least}")
        if found > most:
            category = self.verdict.lied if counted[Outcome.REFUSED] else self.verdict.doubled
            category.append(f"{what}: {found}, at most {most} were accepted")

    def _in_airflow(self, row: Row) -> None:
        """A recorded run is in Airflow exactly once, or not at all if it was cancelled before it was submitted."""
        there = len(self._theirs.get(_ours(row["airflow_run_id"]), ()))
        wanted = 0 if row["submission"] in NEVER_SENT else 1
        message = f"run {row['run_id']} ({row['status']}, {row['submission']}, {row['reason']}): {there} in Airflow"
        if there > 1:
            self.verdict.doubled.append(message)
        elif there < wanted:
            self.verdict.lost.append(message)
        elif there > wanted:
            self.verdict.lied.append(message)


def _ours(run_id: str) -> str:
    """The service's id of a run in Airflow; with random ids, each attempt has added a suffix."""
    return run_id.partition("~")[0]


def _known_elsewhere(theirs: Row, rows: Iterable[dict[str, Any]]) -> bool:
    """Whether a run that Airflow created is recorded under an id of the service."""
    return any((row["dag_id"], row["airflow_run_id"]) == (theirs["dag_id"], theirs["dag_run_id"]) for row in rows)
