"""How a command ends: an exit code, and one line on stderr where something went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.main import get_command

from engine.errors import MagnaError

if TYPE_CHECKING:
    from typer.core import TyperCommand, TyperGroup

__all__ = ["INTERRUPTED", "main", "run"]

INTERRUPTED = 130

_TRACEBACK = "MAGNA_TRACEBACK"


def run(app: typer.Typer) -> NoReturn:
    """Runs a command on the process's arguments and exits; what an entry point calls."""
    sys.exit(main(app))


def main(app: typer.Typer, arguments: Sequence[str] | None = None, *, name: str | None = None) -> int:
    """Runs a command and returns its exit code.

    Args:
        app: The command.
        arguments: Instead of the process's own arguments.
        name: The name shown in usage lines, instead of the process's own.

    Returns:
        0 done, 1 failed, 2 wrong usage, 3 a quality gate said no, 130 interrupted.
    """
    app.rich_markup_mode = None  # plain help: loading rich takes longer than all the rest of --help
    command = get_command(app)
    try:
        result = command.main(args=arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except MagnaError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        shown = name or os.path.basename(sys.argv[0])
        return _fail(f"{error.format_message().rstrip('.')}; see `{shown} --help`", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if os.environ.get(_TRACEBACK):
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}; check the path, its permissions and the space left", 1)
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        what = " ".join(str(error).split())
        return _fail(f"unexpected {type(error).__name__}: {what}; set {_TRACEBACK}=1 to see the traceback", 1)
    if result == INTERRUPTED:
        _say(_interrupted_line(command, sys.argv[1:] if arguments is None else arguments))
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _interrupted_line(command: TyperCommand | TyperGroup | Any, arguments: Sequence[str]) -> str:
    verbs: dict[str, Any] = getattr(command, "commands", {})
    said = [verb for name, verb in verbs.items() if name in arguments] or list(verbs.values())
    if any(parameter.name == "resume" for one in [command, *said] for parameter in one.params):
        return "interrupted; run the same command with --resume to go on"
    return "interrupted; run the same command again"


def _fail(message: str, code: int) -> int:
    for line in message.splitlines():
        _say(f"error: {line}")
    return code


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
