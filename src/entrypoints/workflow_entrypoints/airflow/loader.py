"""The work of Airflow's loader files: from the object store to DAGs.

A parse defines the file's sentinel DAG and one DAG for each workflow whose DAG id hashes to the file. It lists the
store, reads only objects that are not cached under the listed ETag, and falls back to the cache if the store does not
respond: an outage never makes a DAG stale. A spec that cannot be read or built becomes an error DAG, and does not
affect the others.

When a task runs, Airflow parses the file again for one DAG: only that one is built. Its cached spec is used if it is
still that of the object, or if the store does not respond. This check (one request for CODE, two for MANUAL) is made
for every task, because each host has its own cache: that of a worker may be older than that of the host whose DAG
processor has just read a new spec.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from workflow_adapters.storage import open_storage
from workflow_core.domain import cron, schedule, zones
from workflow_core.domain import spec as spec_package
from workflow_core.domain.names import dag_id_for, loader_for, sentinel_dag_id
from workflow_core.domain.spec import WorkflowSpec, parse_complete_spec, spec_hash
from workflow_core.domain.workflow import SourceType, winner
from workflow_core.errors import InvalidRequest, StorageUnavailable
from workflow_entrypoints.airflow.build import build_dag, error_dag, sentinel_dag, wanted_dag_id
from workflow_entrypoints.airflow.cache import CachedSpec, SpecCache
from workflow_entrypoints.airflow.parse_time import ParseTime, SpecTimeout
from workflow_entrypoints.airflow.patience import PatientStorage
from workflow_entrypoints.airflow.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from workflow_core.ports.storage import StoredRef
    from workflow_entrypoints.airflow.settings import LoaderSettings

_log = logging.getLogger(__name__)

# No workflow may replace a sentinel: the service would lose the file.
_SENTINELS: Final = re.compile(r"workflow_core_loader_\d\d_of_\d\d\Z")
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


def load(namespace: dict[str, Any], *, index: int, loaders: int, config: Path) -> None:
    """Define this loader file's DAGs in ``namespace``, the ``globals()`` of the file.

    Raises:
        ConfigurationError, StorageUnavailable: neither the store nor the cache is readable; Airflow shows it as the
            file's import error.
    """
    began = time.monotonic()
    sentinel, wanted = sentinel_dag_id(index, loaders), wanted_dag_id()
    if wanted in {None, sentinel}:
        _define(namespace, sentinel, sentinel_dag(sentinel))
    if wanted == sentinel:
        return
    settings = read_settings(config)
    loader = Loader(PatientStorage(lambda: open_storage(settings.storage_url)), settings, index=index, loaders=loaders)
    specs = loader.all_specs() if wanted is None else loader.one_spec(wanted)
    errors = 0
    time_left = ParseTime()
    for dag_id, spec in sorted(specs, key=lambda item: loader.cache.is_slow(item[0])):  # slow ones come last
        dag, failed = _dag(dag_id, spec, settings, time_left)
        if (slow := isinstance(failed, SpecTimeout)) is not loader.cache.is_slow(dag_id):
            loader.cache.mark_slow(dag_id, slow=slow)
        _define(namespace, dag_id, dag)
        errors += failed is not None
    _log.info(
        "loader %d of %d: %d DAGs, %d of them errors, %d read from the store, %d ms",
        index,
        loaders,
        len(specs),
        errors,
        loader.read,
        (time.monotonic() - began) * 1000,
    )


def _define(namespace: dict[str, Any], dag_id: str, dag: Any) -> None:
    """Define a DAG. Airflow reads only the values; a workflow ``_.file__`` must not replace the module's ``__file__``."""
    namespace[f"dag {dag_id}" if dag_id in namespace or dag_id.startswith("__") else dag_id] = dag


class Loader:
    """Reads the specs of one loader file from the store and the cache. ``read`` counts the objects that were read from
    the store.
    """

    def __init__(self, storage: PatientStorage, settings: LoaderSettings, *, index: int, loaders: int) -> None:
        self._storage = storage
        self._settings = settings
        # One folder for each store: the specs of another store are not those of this one.
        self.cache = SpecCache(settings.cache / hashlib.sha256(settings.storage_url.encode()).hexdigest()[:12])
        self._index = index
        self._loaders = loaders
        self.read = 0

    def all_specs(self) -> list[tuple[str, CachedSpec]]:
        """Return every spec of this file by DAG id, in order; from the cache where the store does not respond.

        Raises:
            StorageUnavailable: it does not respond, and the cache is empty.
        """
        try:
            chosen = self._chosen()
            removed = set(self._cached_ids()) - set(chosen)
            self._check_kept(removed)
        except StorageUnavailable as error:
            cached = [(dag_id, spec) for dag_id in sorted(self._cached_ids()) if (spec := self.cache.get(dag_id))]
            if not cached:
                raise
            _log.warning("all DAGs are taken from the cache: %s", error.message)
            return cached
        for dag_id in removed:
            self.cache.drop(dag_id)
        specs: list[tuple[str, CachedSpec]] = []
        failed: StorageUnavailable | None = None
        for dag_id, ref in sorted(chosen.items()):
            spec = None
            try:
                spec = self._current(dag_id, ref)
            except StorageUnavailable as error:
                failed, spec = error, self.cache.get(dag_id)
                _log.warning(
                    "%s is %s: %s", dag_id, "taken from the cache" if spec else "not served yet", error.message
                )
            if spec is not None:
                specs.append((dag_id, spec))
        if failed is not None and not specs:
            raise failed
        return specs

    def one_spec(self, dag_id: str) -> list[tuple[str, CachedSpec]]:
        """Return the spec of one DAG, as a list of one; empty if there is none.

        Raises:
            StorageUnavailable: the store does not respond, and this host has not cached the spec.
        """
        cached = self.cache.get(dag_id)
        try:
            ref = self._ref(cached.dataset_name) if cached else self._chosen().get(dag_id)
            if cached and not ref:
                self._check_kept({dag_id})
            spec = self._current(dag_id, ref) if ref else None
        except StorageUnavailable as error:
            if cached is None:
                raise
            _log.warning("%s is taken from the cache: %s", dag_id, error.message)
            spec = cached
        return [(dag_id, spec)] if spec else []

    def _cached_ids(self) -> Iterator[str]:
        return (dag_id for dag_id in self.cache.dag_ids() if loader_for(dag_id, self._loaders) == self._index)

    def _check_kept(self, dag_ids: set[str]) -> None:
        """Raise :class:`StorageUnavailable` if objects are gone together with their folder: a lost drive looks like an
        empty one.
        """
        for dag_id in dag_ids:
            spec = self.cache.get(dag_id)
            if spec is not None:
                url = urlsplit(self._storage.url(spec.source, spec.dataset_name))
                if url.scheme == "file" and not Path(unquote(url.path)).parents[1].is_dir():
                    raise StorageUnavailable("The object store's folder is gone.")

    def _chosen(self) -> dict[str, StoredRef]:
        """Return the effective object for each DAG id of this file. Of two names with one DAG id, the first by name is
        used.
        """
        by_name: dict[str, list[StoredRef]] = {}
        for source in SourceType:
            for ref in self._storage.list(source):
                if loader_for(dag_id_for(ref.dataset_name), self._loaders) == self._index:
                    by_name.setdefault(ref.dataset_name, []).append(ref)
        chosen: dict[str, StoredRef] = {}
        for name, refs in sorted(by_name.items()):
            dag_id = dag_id_for(name)
            if _SENTINELS.match(dag_id):
                _log.error("%s is not served: its DAG id is that of a loader file", name)
                continue
            first = chosen.setdefault(dag_id, _chosen_of(refs))
            if first.dataset_name != name:
                _log.error("%s is not served: %s has the same DAG id", name, first.dataset_name)
        return chosen

    def _ref(self, dataset_name: str) -> StoredRef | None:
        """Return the effective object for a name; requested in the order of precedence."""
        first = winner(list(SourceType))
        for source in sorted(SourceType, key=lambda source: source is not first):
            ref = self._storage.stat(source, dataset_name)
            if ref is not None:
                return ref
        return None

    def _current(self, dag_id: str, ref: StoredRef) -> CachedSpec | None:
        """Return the spec of the object, from the cache if that has this version. None: the object is gone."""
        cached = self.cache.get(dag_id)
        rules = _rules_key(self._settings)
        state = (ref.dataset_name, ref.source, ref.etag, _second(ref.modified_at))
        if cached and (cached.dataset_name, cached.source, cached.etag, cached.modified_at) == state:
            if cached.checked_by == rules:
                return cached
            if cached.text:
                return self._keep(dag_id, ref, cached.etag, cached.text)
        try:
            stored = self._storage.get(ref.source, ref.dataset_name, limit=self._settings.rules.max_bytes)
        except InvalidRequest as error:  # too large, or not text
            return self._keep(dag_id, ref, ref.etag, "", unreadable=error)
        finally:
            self.read += 1
        return None if stored is None else self._keep(dag_id, ref, stored.etag, stored.text)

    def _keep(
        self, dag_id: str, ref: StoredRef, etag: str, text: str, *, unreadable: InvalidRequest | None = None
    ) -> CachedSpec:
        """Check a spec once, and cache it with the result: otherwise a parse would spend its time on reading YAML."""
        parsed = error = None
        try:
            if unreadable is not None:
                raise unreadable
            complete = parse_complete_spec(text, dataset_name=ref.dataset_name, rules=self._settings.rules)
            parsed = complete.spec.model_dump_json()
        except InvalidRequest as invalid:
            error = "; ".join(str(problem) for problem in invalid.problems)
        previous = self.cache.get(dag_id)
        spec = CachedSpec(
            dataset_name=ref.dataset_name,
            source=ref.source,
            etag=etag,
            modified_at=_second(ref.modified_at),
            text=text,
            checked_by=_rules_key(self._settings),
            parsed=parsed,
            error=error,
            text_since=previous.text_known_since(ref.dataset_name, text) if previous else None,
        )
        self.cache.put(dag_id, spec)
        return spec


def _second(moment: datetime) -> str:
    """Format a time to the second: stores report it more exactly in a listing, and DAGs must not differ by host."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _chosen_of(refs: list[StoredRef]) -> StoredRef:
    source = winner([ref.source for ref in refs])
    return next(ref for ref in refs if ref.source is source)


def _checks() -> str:
    """Return a hash of the code that checks specs: another release checks cached specs anew."""
    beside = (Path(module.__file__) for module in (cron, schedule, zones))
    files = [*sorted(Path(spec_package.__file__).parent.glob("*.py")), *beside]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


_CHECKS: Final = _checks()


def _rules_key(settings: LoaderSettings) -> str:
    return f"{_CHECKS} {settings.rules.key}"


def _dag(
    dag_id: str, cached: CachedSpec, settings: LoaderSettings, time_left: ParseTime
) -> tuple[Any, BaseException | None]:
    """Return the DAG; for an error DAG also the cause."""
    marked = spec_hash(cached.text)
    message = cached.error or ""
    failed: BaseException = InvalidRequest(message)
    if cached.parsed is not None:
        try:
            spec = WorkflowSpec.model_validate_json(cached.parsed)
            build = partial(build_dag, spec, cached, spec_hash=marked, settings=settings)
            return time_left.share(build), None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - any error of an operator's module must affect its own DAG only
            failed, message = error, f"{type(error).__name__}: {error}"
    message = _ADDRESS.sub("", message)  # addresses differ in every process, and each would be a new version of the DAG
    _log.error("%s cannot be built: %s", dag_id, message)
    return error_dag(dag_id, message, spec_hash=marked), failed
