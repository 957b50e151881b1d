"""What Airflow's loader files do: from the object store to DAGs.

A parse defines the file's sentinel DAG and one DAG for each workflow whose DAG id hashes to the file. It lists the store, reads
only what is not in the cache under the listed ETag, and falls back to the cache if the store does not answer: an outage never
makes a DAG stale. A spec that cannot be read or built becomes an error DAG, and hurts no other.

When a task runs, Airflow parses the file again and says which DAG it wants: only that one is built, after a look whether its
object is still the cached one (a worker's cache may be older than that of the host that parsed).
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from attrs import evolve

from adapters.storage import open_storage
from entrypoints.airflow.build import build_dag, error_dag, sentinel_dag, wanted_dag_id
from entrypoints.airflow.cache import CachedSpec, SpecCache
from entrypoints.airflow.settings import read_settings
from workflow_core.domain.names import dag_id_for, loader_for, sentinel_dag_id
from workflow_core.domain.spec import WorkflowSpec, parse_spec, spec_hash
from workflow_core.domain.workflow import SourceType, winner
from workflow_core.errors import InvalidRequest, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from entrypoints.airflow.settings import LoaderSettings
    from workflow_core.ports.storage import StoragePort, StoredRef

_log = logging.getLogger(__name__)


def load(namespace: dict[str, Any], *, index: int, loaders: int, config: Path) -> None:
    """Define this loader file's DAGs in ``namespace``, the ``globals()`` of the file.

    Raises:
        ConfigurationError, StorageUnavailable: nothing is known at all; Airflow shows it as the file's import error.
    """
    began = time.monotonic()
    settings = read_settings(config)
    loader = Loader(open_storage(settings.storage_url), settings, index=index, loaders=loaders)
    sentinel = sentinel_dag_id(index, loaders)
    wanted = wanted_dag_id()
    if wanted is None or wanted == sentinel:
        namespace[sentinel] = sentinel_dag(sentinel)
    if wanted == sentinel:
        return
    specs = loader.all_specs() if wanted is None else loader.one_spec(wanted)
    errors = 0
    for dag_id, spec in specs:
        namespace[dag_id], failed = _dag(dag_id, spec, settings)
        errors += failed
    served = sum(1 for _ in specs)
    _log.info(
        "loader %d of %d: %d DAGs, %d of them errors, %d read from the store, %d ms",
        index,
        loaders,
        served,
        errors,
        loader.read,
        (time.monotonic() - began) * 1000,
    )


class Loader:
    """The specs of one loader file, from the store and the cache. ``read`` counts the objects that were read from the store."""

    def __init__(self, storage: StoragePort, settings: LoaderSettings, *, index: int, loaders: int) -> None:
        self._storage = storage
        self._settings = settings
        self._cache = SpecCache(settings.cache)
        self._index = index
        self._loaders = loaders
        self.read = 0

    def all_specs(self) -> list[tuple[str, CachedSpec]]:
        """Every spec of this file by DAG id, in order; as last known if the store does not answer."""
        try:
            chosen = self._chosen()
        except StorageUnavailable as error:
            known = [(dag_id, spec) for dag_id in sorted(self._cached_ids()) if (spec := self._cache.get(dag_id))]
            if not known:
                raise
            _log.warning("the DAGs are as last known: %s", error.message)
            return known
        for dag_id in set(self._cached_ids()) - set(chosen):
            self._cache.drop(dag_id)
        found = ((dag_id, self._current(dag_id, ref)) for dag_id, ref in sorted(chosen.items()))
        return [(dag_id, spec) for dag_id, spec in found if spec is not None]

    def one_spec(self, dag_id: str) -> list[tuple[str, CachedSpec]]:
        """The spec of one DAG, as a list of one; empty if there is none."""
        cached = self._cache.get(dag_id)
        if cached is None:
            ref = self._chosen().get(dag_id)
            spec = self._current(dag_id, ref) if ref else None
            return [(dag_id, spec)] if spec else []
        try:
            found = [ref for source in SourceType if (ref := self._storage.stat(source, cached.dataset_name))]
        except StorageUnavailable as error:
            _log.warning("%s is as last known: %s", dag_id, error.message)
            return [(dag_id, cached)]
        if not found:
            return []
        spec = self._current(dag_id, _chosen_of(found))
        return [(dag_id, spec)] if spec else []

    def _cached_ids(self) -> Iterator[str]:
        return (dag_id for dag_id in self._cache.dag_ids() if loader_for(dag_id, self._loaders) == self._index)

    def _chosen(self) -> dict[str, StoredRef]:
        """The object that counts for each DAG id of this file. Of two names with one DAG id the first by name is taken."""
        by_name: dict[str, list[StoredRef]] = {}
        for source in SourceType:
            for ref in self._storage.list(source):
                if loader_for(dag_id_for(ref.dataset_name), self._loaders) == self._index:
                    by_name.setdefault(ref.dataset_name, []).append(ref)
        chosen: dict[str, StoredRef] = {}
        for name, refs in sorted(by_name.items()):
            first = chosen.setdefault(dag_id_for(name), _chosen_of(refs))
            if first.dataset_name != name:
                _log.error("%s is not served: %s has the same DAG id", name, first.dataset_name)
        return chosen

    def _current(self, dag_id: str, ref: StoredRef) -> CachedSpec | None:
        """The object's spec, from the cache if that has this very state of it. None: it cannot be read, and never was."""
        cached = self._cache.get(dag_id)
        same = cached is not None and (cached.dataset_name, cached.source, cached.etag) == (
            ref.dataset_name,
            ref.source,
            ref.etag,
        )
        if cached is not None and same:
            if cached.checked_by == _rules_key(self._settings):
                return cached
            return self._keep(dag_id, cached)
        try:
            stored = self._storage.get(ref.source, ref.dataset_name, limit=self._settings.rules.max_bytes)
        except StorageUnavailable as error:
            _log.warning("%s is as last known: %s", dag_id, error.message)
            return cached
        except InvalidRequest as error:  # too large, or no text at all: told by the error DAG
            return CachedSpec(
                dataset_name=ref.dataset_name, source=ref.source, etag=ref.etag, text="", unreadable=error.message
            )
        self.read += 1
        if stored is None:  # removed since the listing
            return None
        spec = CachedSpec(dataset_name=ref.dataset_name, source=ref.source, etag=stored.etag, text=stored.text)
        return self._keep(dag_id, spec)

    def _keep(self, dag_id: str, spec: CachedSpec) -> CachedSpec:
        """Check a spec once, and keep it with the result: reading YAML is what a parse would spend its time on."""
        try:
            parsed = parse_spec(spec.text, dataset_name=spec.dataset_name, rules=self._settings.rules).model_dump_json()
        except InvalidRequest:
            parsed = None
        spec = evolve(spec, parsed=parsed, checked_by=_rules_key(self._settings))
        self._cache.put(dag_id, spec)
        return spec


def _chosen_of(refs: list[StoredRef]) -> StoredRef:
    source = winner([ref.source for ref in refs])
    return next(ref for ref in refs if ref.source is source)


def _rules_key(settings: LoaderSettings) -> str:
    return f"1 {settings.rules.max_bytes} {' '.join(settings.rules.operators)}"


def _dag(dag_id: str, cached: CachedSpec, settings: LoaderSettings) -> tuple[Any, bool]:
    """The DAG, and whether it is an error DAG."""
    marked = spec_hash(cached.text)
    try:
        spec = _checked(cached, settings)
        return build_dag(spec, cached, spec_hash=marked, default_task=settings.default_task), False
    except InvalidRequest as error:
        message = "; ".join(str(problem) for problem in error.problems)
    except Exception as error:  # noqa: BLE001 - an operator's constructor may raise anything, and must hurt only its own DAG
        message = f"{type(error).__name__}: {error}"
    _log.error("%s cannot be built: %s", dag_id, message)
    return error_dag(dag_id, message, spec_hash=marked), True


def _checked(cached: CachedSpec, settings: LoaderSettings) -> WorkflowSpec:
    """The spec, or the error that says what is wrong with it."""
    if cached.unreadable is not None:
        raise InvalidRequest(cached.unreadable)
    if cached.parsed is not None:
        return WorkflowSpec.model_validate_json(cached.parsed)
    return parse_spec(cached.text, dataset_name=cached.dataset_name, rules=settings.rules)
