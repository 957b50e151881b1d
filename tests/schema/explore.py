"""Send valid and invalid requests from the OpenAPI document to a running service, and verify each response against the
document.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter, defaultdict
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import requests
import schemathesis
from attrs import Factory, define
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.schema.known_names import KnownNames
from tests.schema.targeting import aim, can_be_invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hypothesis.strategies import SearchStrategy
    from schemathesis import CheckFunction, Response

    from tests.schema.served import Served

    Judge = Callable[["Explorer", str, Case[Any], Response], None]

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
STREAM: Final = "followRun"
NOT_HELD_TO: Final = {
    "validateWorkflow": negative_data_rejection,  # it reports errors in the spec with 200
    STREAM: response_schema_conformance,  # the document has the schema of an event's data; that is checked here
}
TIMEOUT: Final = 30.0
"""Seconds that an answer may take."""
FIRST_EVENT: Final = schemathesis.Config.from_dict({"max-stream-events": 1})
"""Of a stream one event is waited for."""
OTHER_METHODS: Final = "(other methods)"
"""In place of an operation: requests with a method that the document does not have at this path."""
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "OTHER")
AT_A_TIME: Final = 40
"""Cases of one operation, before the next operation."""
SHOWN: Final = 5
"""Reported findings of one kind."""


@define
class Explored:
    """The result: statuses by operation, and findings by kind."""

    statuses: dict[str, Counter[int]] = Factory(lambda: defaultdict(Counter))
    findings: dict[str, list[str]] = Factory(lambda: defaultdict(list))
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        """Requests that were answered."""
        return sum(counted.total() for counted in self.statuses.values())

    def missed(self, document: dict[str, Any]) -> list[str]:
        """Operations of the document that were never accepted, or never rejected although they can be."""
        found = []
        for operation in (one for item in document["paths"].values() for one in item.values()):
            met = {str(status)[0] for status in self.statuses[operation["operationId"]]}
            declared = {status[0] for status in operation["responses"]}
            found += [f"{operation['operationId']}: no {one}xx" for one in "24" if one in declared - met]
        return found

    def note(self, kind: str, what: str) -> None:
        """Record a finding, up to a limit for each kind."""
        if len(self.findings[kind]) < SHOWN:
            self.findings[kind].append(what)


@cache
def _strategies(document: str) -> dict[tuple[str, GenerationMode], SearchStrategy[Case[Any]]]:
    """The strategies for valid and invalid requests of each operation; building them takes seconds."""
    schema = schemathesis.openapi.from_dict(json.loads(document), config=FIRST_EVENT)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    return {
        (operation.definition.raw["operationId"], mode): operation.as_strategy(
            # an operation without input cannot be invalid: `aim` adds an unknown parameter
            generation_mode=mode if can_be_invalid(operation.definition.raw) else GenerationMode.POSITIVE
        )
        for operation in operations
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    }


@define
class Explorer:
    """Sends generated requests with these ``headers``, and learns the names of existing resources from the responses.

    Args:
        served: the service.
        headers: credentials.
        document: the document against which responses are verified; by default that of the service.
        number: the random seed; an equal seed generates equal requests, except for the names in them.
    """

    served: Served
    headers: Mapping[str, str]
    number: int = 1
    document: dict[str, Any] = Factory(lambda self: self.served.document(), takes_self=True)
    explored: Explored = Factory(Explored)
    known: KnownNames = Factory(lambda self: KnownNames(random=Random(self.number)), takes_self=True)
    session: requests.Session = Factory(requests.Session)

    def plant(self) -> None:
        """Create resources for the generated requests."""
        with requests.Session() as session:
            session.headers.update(self.served.headers)
            self.known.plant(session, self.served.url)

    def explore(self, cases: int, judge: Judge, *, plants: bool = True) -> Explored:
        """Send at least ``cases`` requests, all operations in turn; ``judge`` records violations. With ``plants``, some
        runs are always active.
        """
        began = time.monotonic()
        strategies = _strategies(json.dumps(self.document))
        turn = 0
        while self.explored.cases < cases:
            left = cases - self.explored.cases
            for (name, mode), strategy in strategies.items():
                if plants and mode is GenerationMode.POSITIVE:
                    self.plant()
                size = max(2, min(AT_A_TIME, round(left / len(strategies))))
                self._turn(name, mode, strategy, size, turn, judge)
            turn += 1
        self.explored.seconds = time.monotonic() - began
        return self.explored

    def _turn(self, name: str, mode: GenerationMode, strategy: Any, size: int, turn: int, judge: Judge) -> None:
        @seed(hash((self.number, turn)))
        @settings(
            max_examples=size,
            phases=[Phase.generate],  # each request changes the state, so that none can be repeated or shrunk
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def ask(case: Case[Any]) -> None:
            aim(case, name, self.known, negative=mode is GenerationMode.NEGATIVE)
            try:
                response = case.call(self.served.url, self.session, dict(self.headers), timeout=TIMEOUT)
            except requests.RequestException as error:
                self.explored.note(f"{name}: no answer", f"{error}\n{case.formatted_path}")
                return
            self.explored.statuses[name][response.status_code] += 1
            judge(self, name, case, response)

        ask()


def as_documented(
    explorer: Explorer, name: str, case: Case[Any], response: Response, *, but: CheckFunction | None = None
) -> None:
    """Record deviations from the document, except those of one check."""
    checks = [one for one in CHECKS if one is not NOT_HELD_TO.get(name) and one is not but]
    try:
        case.validate_response(response, checks=checks, headers=dict(explorer.headers))
    except (Failure, FailureGroup) as error:
        failures = error.exceptions if isinstance(error, FailureGroup) else [error]
        for failure in failures:
            title = f"{name}: {response.status_code}: {getattr(failure, 'title', failure)}"
            explorer.explored.note(title, f"{failure}\n{_shown(case, response)}")
    _check_code(explorer, name, case, response)
    if response.status_code < 300 and response.content:
        if name == STREAM:
            _check_events(explorer, name, case, response)
        else:
            headers = {key.title(): values[0] for key, values in response.headers.items()}
            explorer.known.learn(json.loads(response.content), headers, name)


def _check_code(explorer: Explorer, name: str, case: Case[Any], response: Response) -> None:
    """A problem has one of the codes that the document lists for its status."""
    declared = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("x-codes")
    if declared is not None and response.content and (code := json.loads(response.content).get("code")) not in declared:
        explorer.explored.note(f"{name}: {response.status_code}: undeclared {code}", _shown(case, response))


def in_an_outage(explorer: Explorer, name: str, case: Case[Any], response: Response) -> None:
    """Record deviations from the document; a 503 is allowed during an outage."""
    as_documented(explorer, name, case, response, but=not_a_server_error if response.status_code == 503 else None)


def refused(explorer: Explorer, name: str, case: Case[Any], response: Response) -> None:
    """Record responses to an unauthenticated client other than 401, except for public routes."""
    if response.status_code != 401 and case.operation.definition.raw.get("security") != []:
        explorer.explored.note(f"{name}: {response.status_code} without authentication", _shown(case, response))


def ask_in_every_way(explorer: Explorer) -> None:
    """Send each method to each path: methods outside of the document get 405 with the allowed ones in ``Allow``."""
    for path, item in explorer.document["paths"].items():
        allowed = {"OPTIONS", *(method.upper() for method in item), *(("HEAD",) if "get" in item else ())}
        url = re.sub(r"\{(\w+)\}", lambda found: explorer.known.one_of(found[1]) or "1", explorer.served.url + path)
        for method in METHODS:
            if method in allowed - {"OPTIONS"}:
                continue
            answer = explorer.session.request(method, url, headers=dict(explorer.headers), timeout=TIMEOUT)
            explorer.explored.statuses[OTHER_METHODS][answer.status_code] += 1
            methods = {one.strip() for one in answer.headers.get("Allow", "").split(",")}
            if (answer.status_code, methods) != (204 if method == "OPTIONS" else 405, allowed):
                explorer.explored.note(f"{method} {path}: {answer.status_code}", f"Allow: {sorted(methods)}")


def _check_events(explorer: Explorer, name: str, case: Case[Any], response: Response) -> None:
    schema = {**explorer.document, "$ref": "#/components/schemas/RunStatusAnswer"}
    for line in response.content.decode().splitlines():
        if line.startswith("data:"):
            try:
                jsonschema.validate(json.loads(line.removeprefix("data:")), schema)
            except (ValueError, jsonschema.ValidationError) as error:
                explorer.explored.note(f"{name}: event", f"{error}\n{_shown(case, response)}")


def _shown(case: Case[Any], response: Response) -> str:
    request = response.request
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    sent = {name: value for name, value in request.headers.items() if name != "Authorization"}
    return f"{request.method} {request.url}\n{sent}\n{body[:2000]!r}\n-> {response.status_code} {response.content[:1000]!r}"
