"""One call of the API as data: what HTTP, the remote client, authorization and their tests all read."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar, cast, get_args, get_origin

from attrs import Factory, frozen

from workflow_core.api.base import Answer, Request
from workflow_core.api.listing import Filters, Listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_core.domain.authorization import Verb
    from workflow_core.errors import WorkflowError

Body = TypeVar("Body", bound=Request)
Result = TypeVar("Result")

Method: TypeAlias = Literal["GET", "POST", "DELETE"]

_NAME: Final = re.compile(r"\{(\w+)\}")


class NoFields(Request):
    """An empty object. The body may be left out."""


class Subject(StrEnum):
    """What a verb is checked against before a call is carried out."""

    WORKFLOW = "workflow"
    """The workflow that ``dataset_name`` in the path names."""
    RUN = "run"
    """The workflow of the run that ``run_id`` in the path names."""
    BACKFILL = "backfill"
    """The workflow of the backfill that ``backfill_id`` in the path names."""
    EVERYWHERE = "everywhere"
    """No single workflow: the caller needs the role everywhere."""
    SOMEWHERE = "somewhere"
    """No single workflow: the caller needs the role for any workflow at all."""
    BODY = "body"
    """The workflow that the request body describes: the use case decides, after it has parsed the spec."""
    LIST = "list"
    """Nothing is refused: the answer holds only items of workflows that the caller may see."""
    NONE = "none"
    """Nothing: every caller may make this call."""


@frozen(kw_only=True)
class Call(Generic[Body, Result]):
    """One method of :class:`~workflow_core.api.WorkflowApi`, or a route that only HTTP has.

    Attributes:
        name: The method of the API object that answers the call.
        operation_id: The operation in the OpenAPI document; generated clients are named after it, so it never changes.
        tag: The group in the OpenAPI document.
        method: The HTTP method.
        path: The HTTP path; ``{names}`` in it are the method's first arguments, in this order.
        verb: What the caller does, for authorization; None if every caller may.
        subject: What ``verb`` is checked against.
        body: The request body of a POST; :class:`NoFields` for calls without one.
        body_optional: Whether the body may be left out; its defaults apply then.
        filters: The query parameters; None for routes that pass over their query.
        answer: What the method returns: a model, or ``Listing[Item]``.
        status: The HTTP status of a success.
        other_answers: Further bodies, by status, that are answers and not problems.
        errors: The errors of this very call. Every call except those that are ``public`` can also raise
            ``InvalidRequest``, ``Unauthenticated``, ``PermissionDenied``, ``TooManyRequests`` and
            ``DatabaseUnavailable``.
        conditional: Whether the call takes ``if_match``, the revision that it expects (``If-Match`` over HTTP).
        revisioned: Whether the ETag of the answer begins with the revision of the workflow.
        waits: Whether the call can wait for a change (``Prefer: wait`` over HTTP).
        streams: Whether the answers come as server-sent events.
        asks: Whether a POST changes nothing, so that it takes no idempotency key and may be sent again.
        public: Whether the route answers without credentials.
        summary: One line for the OpenAPI document.
        description: The details for the OpenAPI document.
    """

    name: str
    operation_id: str
    tag: str
    method: Method
    path: str
    summary: str
    description: str
    answer: type[Result]
    verb: Verb | None = None
    subject: Subject = Subject.NONE
    body: type[Body]
    body_optional: bool = False
    filters: type[Filters] | None = Filters
    status: int = 200
    other_answers: Mapping[int, type[Answer]] = Factory(dict)
    errors: tuple[type[WorkflowError], ...] = ()
    conditional: bool = False
    revisioned: bool = False
    waits: bool = False
    streams: bool = False
    asks: bool = False
    public: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the path, in their order."""
        return tuple(_NAME.findall(self.path))

    @property
    def many(self) -> bool:
        """Whether the answer is a page of a list."""
        return get_origin(self.answer) is Listing

    @property
    def item(self) -> type[Answer]:
        """The model of the answer, or of one item of a list."""
        return cast("type[Answer]", get_args(self.answer)[0] if self.many else self.answer)

    @property
    def takes_body(self) -> bool:
        """Whether a request body is read, even if it may be left out."""
        return self.method == "POST"

    @property
    def takes_filters(self) -> bool:
        """Whether the method of the API has a parameter ``filters``."""
        return self.filters not in {None, Filters}

    @property
    def changes(self) -> bool:
        """Whether the call changes something; such calls understand an idempotency key."""
        return self.method != "GET" and not self.asks

    @property
    def is_tagged(self) -> bool:
        """Whether answers carry an ETag: those of every GET except streams and probes."""
        return self.method == "GET" and not (self.streams or self.public)

    def request(self, payload: Request | None, filters: Filters | None) -> tuple[Any, ...]:
        """The arguments of the method after the names in the path: the body or the filters, where it takes them."""
        if self.takes_body:
            return () if self.body is NoFields else (payload,)
        return (filters,) if self.takes_filters else ()
