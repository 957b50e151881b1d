"""Answer requests that come with an idempotency key: the same request again gets the same answer again, and no second effect.

What is asked for is recorded together with the key (``act`` of :class:`~workflow_core.ports.database.Database`), so the request is
simply carried out; that it came before shows where it would be recorded again, or where what it did stands in its own way.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.errors import (
    DatabaseOutcomeUnknown,
    DatabaseUnavailable,
    KeyInUse,
    KeyReused,
    PermissionDenied,
    Unavailable,
    WorkflowError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workflow_core.domain.audit import KeyRecord
    from workflow_core.domain.caller import Caller, IdempotencyKey
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

UNDER_WAY: Final = timedelta(seconds=30)
"""For this long after it was recorded, a request without a response counts as in progress, not as one whose process died.

The time that it may wait for a DAG (``policy.register_wait``) is added. A wrong assumption does no harm: the first response is kept.
"""


@frozen(kw_only=True)
class IdempotentResult:
    """An answer; ``replayed`` if it is to an earlier request with the same key."""

    body: str
    replayed: bool


def idempotent(
    caller: Caller, context: Context, do: Callable[[], str], again: Callable[[KeyRecord], str]
) -> IdempotentResult:
    """Carry a request out by ``do``, or give the answer that an earlier one with the same key got. ``again`` makes the answer of
    what is recorded, for an earlier request that ended without one.

    A refusal is not kept: nothing was done, and the same request may be accepted later.

    Raises:
        KeyReused: the key was used with another request.
        KeyInUse: the earlier request is still in progress.
        WorkflowError: any error that ``do`` raises, if nothing was recorded with the key.
    """
    if caller.key is None:
        raise AssertionError(caller)
    try:
        body = do()
    except WorkflowError as error:
        if error.conceals or isinstance(
            error, PermissionDenied
        ):  # even if the caller was permitted when the key was first used
            raise
        with _not_known(unless=error):
            found = context.db.idempotency.key_record(caller.name, caller.key.text)
        if found is None:
            raise
        with _not_known():
            return _told(found, caller.key, context, again)
    return IdempotentResult(body=_kept(caller.name, caller.key.text, body, context), replayed=False)


@contextmanager
def _not_known(*, unless: WorkflowError | None = None) -> Iterator[None]:
    """That the database does not answer now says nothing of what was recorded with the key before; ``unless`` this request did not get so
    far itself as to find out that there is such a thing.
    """
    try:
        yield
    except DatabaseUnavailable as error:
        if isinstance(unless, Unavailable) and not isinstance(unless, DatabaseOutcomeUnknown):
            raise unless from None
        msg = f"{error.message} Whether this was done under its Idempotency-Key cannot be said: send it again."
        raise DatabaseOutcomeUnknown(msg, place=error.place) from error


def _told(
    found: KeyRecord, key: IdempotencyKey, context: Context, again: Callable[[KeyRecord], str]
) -> IdempotentResult:
    if found.fingerprint != key.fingerprint:
        raise KeyReused(key.text) from None
    mine = found.attempt == key.attempt  # recorded, and then the database went away, for example
    body = found.answer
    if body is None:
        until = found.at + UNDER_WAY + timedelta(seconds=context.policy.register_wait)
        if not mine and context.clock.now() < until:
            raise KeyInUse(key.text) from None
        body = _kept(found.scope, found.key, again(found), context)
    return IdempotentResult(body=body, replayed=not mine)


def _kept(scope: str, text: str, body: str, context: Context) -> str:
    """Return the stored response: this one, unless another request stored one first.

    If it cannot be stored, it is returned anyway, because the change has been made.
    """
    try:
        kept = context.db.idempotency.store_response(scope, text, body)
    except DatabaseUnavailable as error:
        _log.warning("the answer to Idempotency-Key %s is not kept: %s", text, error.message)
        return body
    return body if kept is None else kept
