"""Errors in terms of the command line: fields become options, and an error names the next command to type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from workflow_core import errors
from workflow_core.errors import Problem, WorkflowError
from workflow_entrypoints.cli.parameters import SERVER_OPTION, option_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARAMETERS: Final = {
    "schedule.cron": "cron",
    "schedule.timezone": "timezone",
    "schedule": "cron",
    "run_backwards": "backwards",
    "only_failed": "all_tasks",
    "yaml_content": "file",
    "dataset_name": "name",
    "expires_at": "expires",
    "grants": "role",
    "id": "token_id",
    "If-Match": "if_match",
}
"""Fields of the API whose command parameter has a different name."""

_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    (r"\b([Uu])se force\b", r"\1se {force}"),
    (r"\bask for all of them\b", "use {all_tasks}"),
    (r"\bneeds parallel\b", "needs {parallel}"),
    (r"\bbefore since\b", "before {since}"),
    (r"\bAsk without waiting\b", "Leave out {wait}"),
)
"""Phrases in messages of the core, and their replacements where the command has the option."""

_RUN_ID: Final = re.compile(r".+_[0-9]{8}_[0-9]{6}(?:_[0-9]+)?")
_BACKFILL_ID: Final = re.compile(r".+_backfill_[0-9]{8}_[0-9]{8}(?:_[0-9]+)?")


def in_options(error: WorkflowError, context: Any) -> WorkflowError:
    """Return the error in terms of the command's options."""
    options = _options(context)
    if isinstance(error, errors.InvalidRequest):
        problems = tuple(_problem(problem, context, options) for problem in error.problems)
        message = type(error).of(problems).message
        if tuple(error.problems) == problems and error.message != message:
            message = error.message  # no findings, or a text with more than its findings
    else:
        problems, message = error.problems, _text(error.message, options)
    message = _with_server(error, message, context) + _next_step(error, context)
    return type(error).with_message(message, code=error.code, problems=problems)


def _options(context: Any) -> Mapping[str, str]:
    return {param.name: option_of(param) for param in context.command.params}


def _problem(problem: Problem, context: Any, options: Mapping[str, str]) -> Problem:
    """Return the finding with the typed option as its field; a finding with a line is about the YAML and is unchanged."""
    if problem.line is not None or problem.field is None:
        message = _text(problem.message, options)
        return Problem(field=problem.field, message=message, line=problem.line, column=problem.column)
    field, message = problem.field, _text(problem.message, options)
    name = _PARAMETERS.get(field, field)
    if field.startswith("params.") and "param" in options:
        key = field.removeprefix("params.")
        if message.startswith("must be of type string"):
            message = f"{message}; quote the value: --param '{key}=\"…\"'"
        return Problem(field=f"--param {key}", message=message)
    if name not in options:
        return Problem(field=field, message=message)
    message = message.replace("give it in the request", f"give it with {options[name]}")
    typed = context.params.get(name) is not None
    return Problem(field=options[name] if typed else field, message=message)


def _text(message: str, options: Mapping[str, str]) -> str:
    for pattern, phrase in _PHRASES:
        (needed,) = re.findall(r"\{(\w+)\}", phrase)
        if needed in options:
            message = re.sub(pattern, phrase.replace(f"{{{needed}}}", options[needed]), message)
    for name, option in options.items():
        if "_" in name and option.startswith("--"):
            message = re.sub(rf"(?<![\w`'.-]){name}(?![\w`'])", option, message)
    return message


def _with_server(error: WorkflowError, message: str, context: Any) -> str:
    """Name the server and the origin of its address."""
    if isinstance(error, errors.Unauthenticated) and (advice := _unauthenticated()):
        return advice
    if isinstance(error, errors.Unavailable) and context.meta.get(SERVER_OPTION):
        return message.replace("DLI_SERVER_URL", "--server")
    return message


def _unauthenticated() -> str | None:
    from workflow_entrypoints.cli.credentials import saved_token
    from workflow_entrypoints.settings import load_settings

    settings = load_settings()
    server = settings.server_url
    if server is None:
        return None
    if settings.server_token:
        return f"{server} does not accept the token in DLI_TOKEN: it is wrong, expired or revoked. Set a valid one."
    if saved_token(server):
        return f"{server} does not accept the saved token: it is wrong, expired or revoked. Log in again: dli login {server}"
    return f"{server} requires a token, and none was sent. Log in with `dli login {server}`, or set DLI_TOKEN."


def _next_step(error: WorkflowError, context: Any) -> str:
    """Return a suggestion of what the user may have meant, or an empty text."""
    given = next(
        (context.params[key] for key in ("name", "subject", "run_id", "backfill_id") if key in context.params), None
    )
    if not isinstance(given, str) or not isinstance(error, errors.NotFound | errors.InvalidRequest):
        return ""
    if isinstance(error, errors.WorkflowNotFound):
        return _for_name(given)
    if isinstance(error, errors.WorkflowRunNotFound | errors.BackfillNotFound) or (
        isinstance(error, errors.InvalidRequest)
        and any(problem.field in {"RUN_ID", "BACKFILL_ID"} for problem in error.problems)
    ):
        return _for_id(given, context)
    return ""


def _for_name(given: str) -> str:
    """Return a suggestion where a dataset name was expected."""
    if _BACKFILL_ID.fullmatch(given):
        return f" It looks like the id of a backfill: dli backfill status {given}"
    if _RUN_ID.fullmatch(given):
        return f" It looks like the id of a run: dli workflow status {given}"
    return suggestion(given)


def _for_id(given: str, context: Any) -> str:
    """Return a suggestion where the id of a run or a backfill was expected."""
    wants_run = "run_id" in context.params
    if wants_run and _BACKFILL_ID.fullmatch(given):
        return f" It looks like the id of a backfill: dli backfill status {given}"
    if not wants_run and _RUN_ID.fullmatch(given) and not _BACKFILL_ID.fullmatch(given):
        return f" It looks like the id of a run: dli workflow status {given}"
    if not _RUN_ID.fullmatch(given) and "." in given:
        listing = "dli workflow history" if wants_run else "dli backfill list"
        return f" It looks like a dataset name; its {'runs' if wants_run else 'backfills'}: {listing} {given}"
    return ""


def is_run_id(text: str) -> bool:
    """Whether the text has the form of a run id."""
    return _RUN_ID.fullmatch(text) is not None


def suggestion(given: str) -> str:
    """Return a suggestion of the most similar name that the caller may see."""
    from difflib import get_close_matches

    from workflow_entrypoints.cli.session import visible_names

    close = get_close_matches(given, visible_names(), n=1, cutoff=0.75)
    return f" Did you mean {close[0]!r}?" if close else ""
