"""The entry point of ``dli``: every exit has a documented code, also with missing packages or broken standard streams."""

from __future__ import annotations

import os
import sys

from workflow_entrypoints.cli import extras, streams


def main() -> None:
    """Run ``dli`` and exit with a code of :mod:`workflow_entrypoints.cli.exit_codes`."""
    from workflow_entrypoints.cli import exit_codes

    streams.prepare()
    try:
        code = _run()
        streams.flush()
    except streams.OutputLost as lost:
        if lost.reader_left:  # `dli workflow list | head -1` closed the pipe
            sys.exit(exit_codes.OK)
        print(f"Error: {lost}.", file=sys.stderr)
        sys.exit(exit_codes.OUTPUT_LOST)
    sys.exit(code)


def _run() -> int:
    """Run the command, report its errors, and return the exit code."""
    from workflow_core.errors import WorkflowError
    from workflow_entrypoints.cli import exit_codes

    try:
        from workflow_entrypoints.cli.app import app

        app(prog_name="dli")  # also when started by `python -m`
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else exit_codes.OK
    except WorkflowError as error:
        from workflow_entrypoints.cli.output import Format, print_error

        asked_for_json = any(option in sys.argv for option in ("--output=json", "-ojson")) or any(
            pair in (("--output", "json"), ("-o", "json")) for pair in zip(sys.argv, sys.argv[1:], strict=False)
        )
        print_error(error, Format.JSON if asked_for_json else Format.TABLE)
        return exit_codes.exit_code_of(error)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except streams.OutputLost:
        raise
    except ModuleNotFoundError as error:
        if os.environ.get("DLI_DEBUG"):
            raise
        print(f"Error: {extras.missing(error.name or '')}", file=sys.stderr)
        return exit_codes.WRONG_INPUT
    except Exception as error:
        if os.environ.get("DLI_DEBUG"):
            raise
        message = " ".join(str(error).split()).rstrip(".")
        print(
            f"Error: unexpected {type(error).__name__}: {message}. This is a fault of dli; `dli --debug …` shows where.",
            file=sys.stderr,
        )
        return exit_codes.INTERNAL
    return exit_codes.OK


if __name__ == "__main__":
    main()
