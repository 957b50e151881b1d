"""What the exit codes of `dli` mean.

| Code | Meaning |
|---|---|
| 0 | done |
| 1 | the run or backfill did not succeed, after a wait or because Airflow refused it at once; `validate` or `sync` reported a problem |
| 2 | wrong input or configuration; nothing was changed |
| 3 | there is no such workflow, run or backfill |
| 4 | a conflict with the current state: the name is taken, the workflow is paused |
| 5 | not permitted, or not authenticated |
| 6 | the database, the object store or Airflow cannot be used |
| 7 | `--timeout` has passed; the run or the backfill continues |
| 70 | an error of `dli` itself |
| 74 | the output cannot be written: standard output is closed, or its disk is full; the change may have been made |
| 130 | interrupted (Ctrl-C), or a question answered with no |
"""

from __future__ import annotations

from typing import Final

from workflow_core import errors

OK: Final = 0
NOT_SUCCESSFUL: Final = 1
WRONG_INPUT: Final = 2
NOT_FOUND: Final = 3
CONFLICT: Final = 4
NOT_PERMITTED: Final = 5
UNAVAILABLE: Final = 6
TIMED_OUT: Final = 7
INTERNAL: Final = 70
OUTPUT_LOST: Final = 74
INTERRUPTED: Final = 130

# The first class that an error is an instance of decides.
_CODES: Final[tuple[tuple[type[errors.WorkflowError], int], ...]] = (
    (errors.InvalidRequest, WRONG_INPUT),
    (errors.ConfigurationError, WRONG_INPUT),
    (errors.NotFound, NOT_FOUND),
    (errors.Conflict, CONFLICT),
    (errors.WorkflowPermissionDenied, NOT_PERMITTED),
    (errors.PermissionDenied, NOT_PERMITTED),
    (errors.Unauthenticated, NOT_PERMITTED),
    (errors.TooManyRequests, UNAVAILABLE),
    (errors.Unavailable, UNAVAILABLE),
    (errors.AirflowRefused, UNAVAILABLE),
)


def exit_code_of(error: errors.WorkflowError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL)
