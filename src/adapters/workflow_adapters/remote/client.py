"""Requests to a running service: bounded in time and size, with every response validated by its model."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
from pydantic import TypeAdapter, ValidationError

from workflow_adapters.causes import place_of
from workflow_adapters.http.deadline import time_limit
from workflow_adapters.http.exchange import (
    Connections,
    OutOfTimeError,
    UnreadableError,
    checked_url,
    exchange,
    is_header,
    segment,
    without_secrets,
)
from workflow_adapters.remote import errors
from workflow_adapters.remote.retry import RetryPolicy
from workflow_core.api.listing import Listing
from workflow_core.api.run import RunFilters
from workflow_core.domain.names import check_dataset_name, check_run_id
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from workflow_core.api.base import Answer, Request
    from workflow_core.api.call import Call
    from workflow_core.api.listing import Filters

_log = logging.getLogger(__name__)

B = TypeVar("B", bound="Request")
R = TypeVar("R")
T = TypeVar("T")

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class ServiceClient:
    """A client of one service; see :class:`~workflow_adapters.remote.RemoteWorkflowApi` for its settings."""

    def __init__(  # noqa: PLR0913 - settings of one thing, all by name
        self,
        base_url: str,
        *,
        token: str | None,
        connect_timeout: float,
        read_timeout: float,
        change_timeout: float,
        patience: float,
        connections: int,
        setting: str,
    ) -> None:
        self._base_url = checked_url(base_url, f"The address of the server ({setting})")
        self._server = errors.ServerAddress(place=place_of(self._base_url), setting=setting)
        if token is not None and not is_header(token):
            msg = "DLI_TOKEN contains characters that a token cannot have (a line break?)"
            raise ConfigurationError(msg)
        self._read_timeout = read_timeout
        self._change_timeout = change_timeout
        self._patience = patience
        self._http = Connections(
            self._base_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            connect_timeout=connect_timeout,
            read_timeout=max(read_timeout, change_timeout),  # each call is limited as a whole
            connections=connections,
        )
        url = httpx.URL(self._base_url)
        if token and url.scheme == "http" and url.host not in _LOOPBACK:
            _log.warning("The token is sent to %s unencrypted: use https.", url.host)

    def close(self) -> None:
        """Close the connections. A later call opens them anew."""
        self._http.close()

    def call(
        self,
        call: Call[B, R],
        body: B | None = None,
        *,
        filters: Filters | None = None,
        if_match: int | None = None,
        **names: str | int,
    ) -> R:
        """Make a call of the table, and return its answer.

        A change takes effect once, even if the request has to be sent several times.

        Args:
            call: The row.
            body: The request body; None to leave it out.
            filters: The query parameters; None for the defaults of the service.
            if_match: The revision that the call expects.
            names: The values of the names in the path. A malformed one is refused here, because it could lead to
                another route.
        """
        path = tuple(_checked(part[1:-1], names) if part[:1] == "{" else part for part in call.path[1:].split("/"))
        headers = {"Idempotency-Key": str(uuid4())} if call.changes else {}
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        response, answered = self._exchange(
            call.method,
            path,
            params=None if filters is None else filters.model_dump(mode="json", exclude_none=True),
            body=body,
            headers=headers,
            changes=call.changes,
            also=call.other_answers,
            longer=filters.wait if isinstance(filters, RunFilters) else 0.0,
        )
        if call.many:
            return cast("R", _page(call.item, response, answered))
        return _parsed(TypeAdapter(call.answer), answered, changes=call.changes)

    def _exchange(  # noqa: PLR0913 - the parts of one request
        self,
        method: str,
        path: tuple[str, ...],
        *,
        params: Mapping[str, Any] | None,
        body: Request | None,
        headers: Mapping[str, str],
        changes: bool,
        also: Collection[int],
        longer: float,
    ) -> tuple[httpx.Response, bytes]:
        url = "/".join((self._base_url, *map(segment, path)))
        content = None if body is None else body.model_dump_json().encode()
        headers = {**headers, **({} if body is None else {"Content-Type": "application/json"})}
        policy = RetryPolicy(self._patience if changes else 0.0)
        began = time.monotonic()
        try:
            request = self._http.request(method, url, params=params, content=content, headers=headers)
            if longer:
                timeouts = request.extensions["timeout"]
                request.extensions["timeout"] = {**timeouts, "read": timeouts["read"] + longer}
            with time_limit((self._change_timeout if changes else self._read_timeout) + longer):
                response, answered = self._sent(request, policy, changes=changes)
        except OutOfTimeError:
            raise errors.out_of_time(self._server, is_unknown=policy.is_unknown) from None
        except UnreadableError:
            raise errors.bad_body(changes=changes) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise errors.no_answer(
                error,
                self._server,
                changes=changes,
                is_unknown=policy.is_unknown,
                seconds=time.monotonic() - began,
            ) from without_secrets(error)
        if not response.is_success and response.status_code not in also:
            raise errors.problem(response, answered, changes=changes, is_unknown=policy.is_unknown)
        return response, answered

    def _sent(self, request: httpx.Request, policy: RetryPolicy, *, changes: bool) -> tuple[httpx.Response, bytes]:
        while True:
            try:
                response, body = exchange(self._http, request, changes=changes)
            except httpx.HTTPError as error:
                if not policy.after_failure(error):
                    raise
                continue
            if response.is_success or not changes or not policy.after_answer(response, body):
                return response, body


_CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    "dataset_name": check_dataset_name,
    "run_id": check_run_id,
    "backfill_id": partial(check_run_id, field="backfill_id"),
    "number": str,
}


def _checked(name: str, names: Mapping[str, str | int]) -> str:
    return _CHECKS[name](names[name])  # type: ignore[arg-type]


def _page(item: type[Answer], response: httpx.Response, body: bytes) -> Listing[Answer]:
    """The items in the body, with their total count and the link of the headers."""
    items: tuple[Answer, ...] = _parsed(TypeAdapter(tuple[item, ...]), body, changes=False)  # type: ignore[valid-type]
    total = response.headers.get("X-Total-Count", "")
    if not (total.isascii() and total.isdigit()):
        raise errors.bad_body(changes=False)
    return Listing(items=items, total=int(total), next_cursor=_next_cursor(response))


def _parsed(model: TypeAdapter[T], body: bytes, *, changes: bool) -> T:
    """Parse the body by its model; fields that this version does not know are ignored."""
    try:
        return model.validate_json(body, strict=True)
    except ValidationError:
        raise errors.bad_body(changes=changes) from None


def _next_cursor(response: httpx.Response) -> str | None:
    """Return the cursor of the next page from the link to it."""
    link = response.links.get("next")
    if link is None:
        return None
    cursors = parse_qs(urlsplit(link.get("url", "")).query).get("cursor", [])
    if len(cursors) != 1:
        raise errors.bad_body(changes=False)
    return cursors[0]
