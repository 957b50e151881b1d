"""What reads text from outside, each with valid inputs to start from and the errors that it may raise."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import frozen
from litestar import Request
from litestar.exceptions import HTTPException

from tests.fuzz import corpus
from tests.fuzz.mutate import broken, mutated
from workflow_core import api
from workflow_core.api.call import NoFields
from workflow_core.domain.caller import Caller
from workflow_core.domain.names import check_dataset_name, check_run_id, dag_id_for, is_sentinel
from workflow_core.domain.paging import decode_cursor, key_id, key_moment
from workflow_core.domain.schedule import Schedule, check_cron, check_timezone
from workflow_core.domain.spec import SpecRules, WorkflowSpec, complete, parse_complete_spec, parse_spec
from workflow_core.domain.stored import name_of_file, stored_text
from workflow_core.embedded import in_memory_service
from workflow_core.errors import InvalidRequest, WorkflowError, WorkflowNotFound
from workflow_entrypoints.http.body import _check_content_type, parse_payload
from workflow_entrypoints.http.idempotency import read_key
from workflow_entrypoints.http.long_poll import preferred_wait, version_of
from workflow_entrypoints.http.query import read_filters, read_if_match

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from litestar.types import Scope

    from workflow_core.api.listing import Filters

NOW: Final = datetime(2026, 1, 31, 10, tzinfo=UTC)
SHORT: Final = 4096
LONG: Final = 65_536

MOST_ADDED: Final = 1_000_000
"""Characters that a spec as JSON may have beyond six for each of its YAML (``\\u0007``): what its aliases stand for."""

QUICK: Final = 0.1
"""CPU seconds that any input may take."""
READING: Final = 0.035
"""CPU seconds that reading a KiB of YAML may take, where that is more than ``QUICK``: the parser is pure Python. One list of ``a,a,a,…``
takes 0.02.
"""
REGISTERING: Final = 2 * READING
"""Likewise of registering one: it is read, completed, and read again."""


@frozen(kw_only=True)
class Target:
    """A function that reads text from outside.

    ``share`` is its part of all inputs of a run. ``run`` returns or raises one of ``declared``; whatever else comes out of it is a
    failure. ``is_bytes``: it is given bytes, not all of them UTF-8. ``per_kib``: CPU seconds that a KiB of input may take, where that
    is more than ``QUICK``.
    """

    name: str
    share: int
    seeds: Sequence[str]
    fragments: Sequence[str]
    run: Callable[[Any], object]
    declared: tuple[type[Exception], ...] = (InvalidRequest,)
    is_bytes: bool = False
    longest: int = SHORT
    per_kib: float = 0.0

    def made(self, dice: Random) -> str | bytes:
        """An input."""
        text = mutated(dice, self.seeds, self.fragments, self.longest)
        return broken(dice, text) if self.is_bytes else text

    def allowed(self, given: str | bytes) -> float:
        """CPU seconds that it may take."""
        return max(QUICK, self.per_kib * len(as_bytes(given)) / 1024)


def as_bytes(given: str | bytes) -> bytes:
    """An input as it travels."""
    return given.encode("utf-8", errors="surrogatepass") if isinstance(given, str) else given


def _spec(text: str) -> None:
    """As a registration reads it, stores it and keeps it."""
    spec = parse_spec(text, rules=SpecRules())
    schedule = Schedule(**spec.schedule.model_dump()) if spec.schedule else Schedule(cron="0 6 * * *", timezone="UTC")
    if spec.start_date is not None:
        schedule.first_from(spec.start_date)
    kept = spec.model_dump_json()
    assert WorkflowSpec.model_validate_json(kept) == spec
    assert len(kept) < 6 * len(text) + MOST_ADDED, len(kept)
    values = {
        "name": "iceberg.a",
        "owner": "o",
        "schedule": {"cron": schedule.cron, "timezone": schedule.timezone},
    }
    stored = complete(text, values)
    stored.encode()
    again = parse_spec(stored, dataset_name="iceberg.a", rules=SpecRules())
    assert (repr(again.params), repr(again.tasks)) == (repr(spec.params), repr(spec.tasks))


def _published(raw: bytes) -> None:
    """As a sync reads what a pipeline has published."""
    parse_complete_spec(stored_text(raw, SpecRules().max_bytes))


def _names(text: str) -> None:
    refused = None
    for check in (check_dataset_name, check_run_id):
        try:
            is_sentinel(dag_id_for(check(text)))
        except InvalidRequest as error:
            refused = error
    name_of_file(text)
    if refused is not None:
        raise refused


def _cron(text: str) -> None:
    """As it is checked, and as it fires: in order, at whole minutes, and found again from both sides."""
    cron = check_cron(text)
    assert check_cron(cron) == cron
    for zone in ("UTC", "Europe/Berlin", "Australia/Lord_Howe"):
        schedule = Schedule(cron=cron, timezone=zone)
        assert Schedule.stored(cron, zone) == schedule
        times = [fire.at for fire in schedule.upcoming(NOW, 3)]
        assert NOW < times[0] < times[1] < times[2]
        for time in times:
            assert (time.second, time.microsecond) == (0, 0)
            assert schedule.first_from(time) == schedule.last_until(time) == time
        assert schedule.last_until(times[1] - (times[1] - times[0]) / 2) == times[0]
        day = times[0].astimezone(schedule.zone).date()
        first = schedule.first_on(day)
        assert first is not None
        assert first <= times[0]


def _timezone(text: str) -> None:
    Schedule(cron="30 2 * * *", timezone=check_timezone(text)).next_after(NOW)


def _cursor(text: str) -> None:
    """As a key of every list, of one part or of two."""
    refused = None
    for parts, reads in ((1, ()), (2, (key_moment,)), (2, (key_moment, key_id))):
        try:
            for read, part in zip(reads, decode_cursor(text, parts=parts), strict=False):
                read(part)
        except InvalidRequest as error:
            refused = error
        else:
            return
    assert refused is not None
    raise refused


def _cursor_key(text: str) -> None:
    raw = text.encode("utf-8", errors="surrogatepass")
    _cursor(base64.urlsafe_b64encode(raw).decode().rstrip("="))


def _key(raw: bytes) -> None:
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"idempotency-key", raw)], "state": {}}
    read_key(Request(cast("Scope", scope)))


_API: Final = in_memory_service(at=NOW).as_(Caller(name="u"))
_NAME: Final = "iceberg.analytics.daily_clicks"
_ASKED: Final[tuple[tuple[type[Filters], Callable[[Any], object]], ...]] = (
    (api.WorkflowFilters, _API.workflows),
    (api.HistoryFilters, _API.history),
    (api.AuditFilters, _API.audit),
    (api.RevisionFilters, lambda filters: filters.page(parts=1)),
    (api.BackfillFilters, lambda filters: filters.page(parts=2)),
    (api.RunFilters, lambda filters: filters.wait),
    (api.NextRunsFilters, lambda filters: _API.next_runs(_NAME, filters)),
    (api.DiffFilters, lambda filters: filters.against),
    (api.UnregisterFilters, lambda filters: filters.force),
)
_BODIES: Final = (
    api.RegisterRequest,
    api.RunRequest,
    api.BackfillRequest,
    api.BackfillReasonRequest,
    api.RetryRequest,
    api.StopRequest,
    api.PauseRequest,
    api.SyncRequest,
    NoFields,
)


def _query(raw: bytes) -> None:
    """As the parameters of every route; one that takes them is enough."""
    scope = cast("Scope", {"query_string": raw})
    refused: WorkflowError | None = None
    taken = False
    for model, ask in _ASKED:
        try:
            filters = read_filters(scope, model)
            ask(filters)
            for moment in (getattr(filters, "since", None), getattr(filters, "until", None)):
                assert moment is None or moment.astimezone(UTC)  # as a database is asked
        except (InvalidRequest, WorkflowNotFound) as error:
            check_told(error)
            refused = error
        else:
            taken = True
    if not taken and refused is not None:
        raise refused


def _body(raw: bytes) -> None:
    """As the body of every route; one that takes it is enough."""
    refused: InvalidRequest | None = None
    taken = False
    for model in _BODIES:
        try:
            parse_payload(raw, model).model_dump_json()
        except InvalidRequest as error:
            check_told(error)
            refused = error
        else:
            taken = True
    if not taken and refused is not None:
        raise refused


def check_told(error: WorkflowError) -> None:
    """A refusal can be answered and logged: it says something, on one line, without control or half characters."""
    assert error.problems or not isinstance(error, InvalidRequest)
    for told in (error.message, *(str(problem) for problem in error.problems)):
        assert told.isprintable(), told
        assert told


def _header(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """Headers arrive as bytes and are read as Latin-1 (RFC 9110, section 5.5)."""
    return lambda raw: read(raw.decode("latin-1"))


TARGETS: Final = (
    Target(name="YAML", share=61, seeds=corpus.SPECS, fragments=corpus.SPEC_FRAGMENTS, run=_spec, per_kib=REGISTERING),
    Target(
        name="YAML up to 64 KiB",
        share=1,
        seeds=corpus.LONG_SPECS,
        fragments=corpus.SPEC_FRAGMENTS,
        run=_spec,
        longest=LONG,
        per_kib=REGISTERING,
    ),
    Target(
        name="published bytes",
        share=18,
        seeds=corpus.SPECS,
        fragments=corpus.SPEC_FRAGMENTS,
        run=_published,
        is_bytes=True,
        per_kib=READING,
    ),
    Target(name="names", share=150, seeds=corpus.NAMES, fragments=corpus.NAME_FRAGMENTS, run=_names),
    Target(name="cron", share=150, seeds=corpus.CRONS, fragments=corpus.CRON_FRAGMENTS, run=_cron),
    Target(name="time zone", share=80, seeds=corpus.ZONES, fragments=corpus.ZONE_FRAGMENTS, run=_timezone),
    Target(name="cursor", share=80, seeds=corpus.CURSORS, fragments=corpus.CURSOR_FRAGMENTS, run=_cursor),
    Target(
        name="key in a cursor",
        share=100,
        seeds=corpus.CURSOR_KEYS,
        fragments=corpus.CURSOR_KEY_FRAGMENTS,
        run=_cursor_key,
    ),
    Target(
        name="If-Match",
        share=60,
        seeds=corpus.TAGS,
        fragments=corpus.TAG_FRAGMENTS,
        run=_header(read_if_match),
        is_bytes=True,
    ),
    Target(
        name="Prefer",
        share=60,
        seeds=corpus.PREFERENCES,
        fragments=corpus.PREFERENCE_FRAGMENTS,
        run=_header(lambda text: preferred_wait(text, 60)),
        declared=(),
        is_bytes=True,
    ),
    Target(
        name="Last-Event-ID, If-None-Match",
        share=60,
        seeds=corpus.TAGS,
        fragments=corpus.TAG_FRAGMENTS,
        run=_header(version_of),
        declared=(),
        is_bytes=True,
    ),
    Target(
        name="Idempotency-Key", share=50, seeds=corpus.KEYS, fragments=corpus.KEY_FRAGMENTS, run=_key, is_bytes=True
    ),
    Target(
        name="Content-Type",
        share=30,
        seeds=corpus.MEDIA_TYPES,
        fragments=corpus.MEDIA_TYPE_FRAGMENTS,
        run=_header(_check_content_type),
        declared=(HTTPException,),
        is_bytes=True,
    ),
    Target(
        name="query",
        share=50,
        seeds=corpus.QUERIES,
        fragments=corpus.QUERY_FRAGMENTS,
        run=_query,
        declared=(InvalidRequest, WorkflowNotFound),
        is_bytes=True,
        longest=8192,
    ),
    Target(
        name="JSON body",
        share=50,
        seeds=corpus.BODIES,
        fragments=corpus.BODY_FRAGMENTS,
        run=_body,
        is_bytes=True,
        longest=16_384,
    ),
)
