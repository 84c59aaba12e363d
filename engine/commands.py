"""How a command runs: exit codes, one line for every error, former flags, progress."""

from __future__ import annotations

import json as json_lines
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.main import get_command

from engine.errors import IssuesError, MagnaError, UsageError

if TYPE_CHECKING:
    from tqdm import tqdm
    from typer.core import TyperCommand, TyperGroup

INTERRUPTED = 130

_TRACEBACK = "MAGNA_TRACEBACK"


def run(app: typer.Typer, *, renamed: Mapping[str, str] | None = None) -> NoReturn:
    """Runs a command on the process's arguments and exits; what an entry point calls."""
    sys.exit(main(app, renamed=renamed))


def main(
    app: typer.Typer,
    arguments: Sequence[str] | None = None,
    *,
    name: str | None = None,
    renamed: Mapping[str, str] | None = None,
) -> int:
    """Runs a command and returns its exit code.

    Args:
        app: The command.
        arguments: Instead of the process's own arguments.
        name: The name shown in usage lines, instead of the process's own.
        renamed: Former flags or subcommands by what is written in their place, such as `{"--any": "--sampling any"}`;
            they are still read, with one line on stderr.

    Returns:
        0 done, 1 failed, 2 wrong usage, 3 a quality gate said no, 130 interrupted.
    """
    app.rich_markup_mode = None  # plain help: loading rich takes longer than all the rest of --help
    command = get_command(app)
    if renamed:
        arguments = _present_spelling(sys.argv[1:] if arguments is None else arguments, renamed)
    try:
        result = command.main(args=arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except IssuesError as error:
        for issue in error.issues:
            _fail(str(issue), error.exit_code, issue.code)
        return error.exit_code
    except MagnaError as error:
        return _fail(str(error), error.exit_code, error.code)
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


def _present_spelling(arguments: Sequence[str], renamed: Mapping[str, str]) -> list[str]:
    """The arguments with former flags replaced, up to `--`; each is named once on stderr.

    >>> _present_spelling(["--seed", "1", "--", "--any"], {"--any": "--sampling any"})
    ['--seed', '1', '--', '--any']
    """
    written: list[str] = []
    rest = list(arguments)
    while rest and rest[0] != "--":
        flag, equals, value = rest.pop(0).partition("=")
        if flag in renamed:
            _say(f"warning: {flag} is now {renamed[flag]}; write that")
            words = renamed[flag].split()
            written += [*words[:-1], f"{words[-1]}={value}"] if equals else words
        else:
            written.append(f"{flag}{equals}{value}")
    return [*written, *rest]


def _interrupted_line(command: TyperCommand | TyperGroup | Any, arguments: Sequence[str]) -> str:
    verbs: dict[str, Any] = getattr(command, "commands", {})
    said = [verb for name, verb in verbs.items() if name in arguments] or list(verbs.values())
    if any(parameter.name == "resume" for one in [command, *said] for parameter in one.params):
        return "interrupted; run the same command with --resume to go on"
    return "interrupted; run the same command again"


def _fail(message: str, exit_code: int, code: str = "") -> int:
    for line in message.splitlines():
        _say(f"error: {line}" + (f" [{code}]" if code else ""))
    return exit_code


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts towards `total` while the block runs.

    Args:
        total: How many items there are.
        label: What is being done, e.g. "generate".
        json: Write `{"progress": label, "done": n, "total": n, "seconds": s}` lines instead of a bar.
        quiet: Write nothing at all, `write` included.
        unit: What is counted, shown next to the rate.
    """

    def __init__(self, total: int, label: str, *, json: bool = False, quiet: bool = False, unit: str = "it") -> None:
        self.total = total
        self.label = label
        self.unit = unit
        self.done = 0
        self._json = json
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None
        self._start = self._last = time.monotonic()

    def __enter__(self) -> Progress:
        self._start = self._last = time.monotonic()
        if not self._quiet and not self._json and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self.total, desc=self.label, unit=self.unit, dynamic_ncols=True, file=sys.stderr)
        return self

    def update(self, n: int = 1) -> None:
        """Counts `n` more items."""
        self.done += n
        if self._bar is not None:
            self._bar.update(n)
        elif not self._quiet and time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._line()

    def write(self, text: str) -> None:
        """Writes a line without breaking the bar."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif self._json:
            self._emit(json_lines.dumps({"progress": self.label, "message": text}, ensure_ascii=False))
        else:
            self._emit(text)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif not self._quiet:
            self._line()

    def _line(self) -> None:
        self._last = time.monotonic()
        seconds = self._last - self._start
        if self._json:
            row = {"progress": self.label, "done": self.done, "total": self.total, "seconds": round(seconds, 3)}
            self._emit(json_lines.dumps(row, ensure_ascii=False))
        else:
            rate = self.done / seconds if seconds > 0 else 0.0
            self._emit(f"{self.label}: {self.done}/{self.total} after {seconds:.0f} s, {rate:.1f} {self.unit}/s")

    @staticmethod
    def _emit(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def parse_named(texts: Sequence[str], flag: str) -> tuple[tuple[str, Path], ...]:
    """The `NAME=DIR` of every value of a flag.

    Raises:
        UsageError: One cannot be read, or two have the same name.
    """
    folders: dict[str, Path] = {}
    for text in texts:
        name, sign, folder = text.partition("=")
        if not sign or not folder:
            example = Path(text.rstrip("=")).name or "fakes"
            raise UsageError(
                f"{flag}: expected NAME=DIR, got {text!r}; write such as {flag} {example}=DIR", code="E-set-name"
            )
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{flag}: {name!r} is no name; use up to 40 of the letters a-z, digits, - and _, "
                f"such as {flag} magna={folder}",
                code="E-set-name",
            )
        if name in folders:
            raise UsageError(f"{flag}: two sets are called {name!r}; give each a name of its own", code="E-set-name")
        folders[name] = Path(folder)
    return tuple(folders.items())


def aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Rows of text as columns: those of `left` are aligned to the left, the others to the right.

    >>> aligned([("name", "n"), ("a", "10")])
    ['name   n', 'a     10']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
