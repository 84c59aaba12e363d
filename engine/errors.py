"""The errors that a command reports as one line and an exit code, never as a traceback.

The message of every `MagnaError` is the complete line: what is wrong, where, and what to do about it. Its code, such as
`E-mix-unknown-class`, names the type of error: it stays the same when the message is written better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


class MagnaError(Exception):
    """Base of all errors that end a command with one line on stderr.

    Args:
        message: What is wrong, where, and what to do.
        code: `E-<package or command>-<what>`, lower case.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class DataError(MagnaError):
    """An image, a mask, a manifest or a folder that cannot be used as it is."""


class UsageError(MagnaError):
    """A flag, a guide or a configuration value that is wrong."""

    exit_code = 2


class CheckpointError(MagnaError):
    """A checkpoint that is missing, damaged, pickled or of another model."""


class WeightsError(MagnaError):
    """Pretrained weights that cannot be found, fetched or trusted."""


class TrainingError(MagnaError):
    """A training that cannot continue: a loss is not a number."""


class OutputError(MagnaError):
    """An output that cannot be written: disk full, read-only, or in use by another process."""


class GateError(MagnaError):
    """A quality gate that said no."""

    exit_code = 3


@dataclass(frozen=True)
class Issue:
    """One thing wrong with one file.

    Attributes:
        path: The file, as the user would name it.
        what: What is wrong with it.
        remedy: What to do about it.
        warning: True where the data can still be used.
        code: As that of a `MagnaError`.
    """

    path: str
    what: str
    remedy: str
    warning: bool = False
    code: str = field(kw_only=True)

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {self.remedy}"


class IssuesError(DataError):
    """All issues of a folder at once, one line each; there is at least one.

    >>> print(IssuesError([Issue("a.png", "0 bytes", "remove it", code="E-image-empty")]))
    a.png: 0 bytes; remove it
    """

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("\n".join(str(issue) for issue in issues), code=issues[0].code)
        self.issues = tuple(issues)

    def __reduce__(self) -> tuple[type[IssuesError], tuple[tuple[Issue, ...]]]:
        return type(self), (self.issues,)
