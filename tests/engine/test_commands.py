"""How commands end: one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
import typer

from engine.commands import main
from engine.errors import DataError, GateError, Issue, IssuesError, OutputError, UsageError


def _app(action: Callable[[], None], *, resumable: bool = True) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    if resumable:

        @app.command()
        def resumable_command(num: int = 1, resume: bool = False) -> None:
            action()

    else:

        @app.command()
        def plain_command(num: int = 1) -> None:
            action()

    return app


def _raise(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


ISSUES = IssuesError(
    [
        Issue("a.png", "0 bytes", "remove it", code="E-image-empty-file"),
        Issue("b.png", "16-bit", "convert it", code="E-image-depth"),
    ]
)


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (DataError("a.png: is corrupt; replace it", code="E-x"), 1, ["error: a.png: is corrupt; replace it [E-x]"]),
        (
            UsageError("unknown guide x; did you mean y?", code="E-g"),
            2,
            ["error: unknown guide x; did you mean y? [E-g]"],
        ),
        (GateError("fid above 50; train longer", code="E-gate"), 3, ["error: fid above 50; train longer [E-gate]"]),
        (OutputError("out: No space left; free some", code="E-o"), 1, ["error: out: No space left; free some [E-o]"]),
        (
            ISSUES,
            1,
            [
                "error: a.png: 0 bytes; remove it [E-image-empty-file]",
                "error: b.png: 16-bit; convert it [E-image-depth]",
            ],
        ),
        (typer.Exit(3), 3, []),
        (KeyboardInterrupt(), 130, ["interrupted; run the same command with --resume to go on"]),
    ],
)
def test_an_error_is_its_line_and_its_exit_code(
    error: BaseException, code: int, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_app(_raise(error)), []) == code
    output = capsys.readouterr()
    assert output.err.split("\n") == [*lines, ""]
    assert output.out == ""


def test_done_is_exit_zero_and_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_app(lambda: None), ["--num", "3"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_an_error_of_the_system_is_one_line(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_app(_raise(OSError(number, os.strerror(number), "out/x.png"))), []) == 1
    assert capsys.readouterr().err == (
        f"error: out/x.png: {os.strerror(number)}; check the path, its permissions and the space left\n"
    )


def test_an_unexpected_error_is_one_line_that_says_how_to_see_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(_app(_raise(RuntimeError("shapes\n  differ"))), []) == 1
    assert capsys.readouterr().err == (
        "error: unexpected RuntimeError: shapes differ; set MAGNA_TRACEBACK=1 to see the traceback\n"
    )
    monkeypatch.setenv("MAGNA_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(_app(_raise(RuntimeError("shapes"))), [])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nmu", "3"], "No such option: --nmu"),
        (["--num", "x"], "Invalid value for '--num'"),
        (["left over"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_two(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_app(lambda: None), arguments, name="gen-x") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert line in error
    assert error.endswith("; see `gen-x --help`\n")
    assert error.count("\n") == 1


def test_a_command_that_cannot_resume_does_not_promise_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_app(_raise(KeyboardInterrupt()), resumable=False), []) == 130
    assert capsys.readouterr().err == "interrupted; run the same command again\n"


def test_of_several_verbs_the_given_one_decides_what_an_interrupt_promises(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = typer.Typer()

    @app.command()
    def train(resume: bool = False) -> None:
        raise KeyboardInterrupt

    @app.command()
    def table() -> None:
        raise KeyboardInterrupt

    assert [main(app, [verb]) for verb in ("train", "table")] == [130, 130]
    assert capsys.readouterr().err.splitlines() == [
        "interrupted; run the same command with --resume to go on",
        "interrupted; run the same command again",
    ]


PROGRAM = """
import sys, time, typer
from engine.commands import run
app = typer.Typer(add_completion=False)
@app.command()
def command(resume: bool = False, lines: int = 0) -> None:
    for number in range(lines):
        print(number)
    print("ready", flush=True)
    if not lines:
        time.sleep(60)
run(app)
"""


def test_ctrl_c_is_exit_130_and_one_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, error = child.communicate(timeout=30)
    assert child.returncode == 130
    assert error == "interrupted; run the same command with --resume to go on\n"


def test_a_reader_that_stops_reading_is_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--lines", "200000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        error = child.stderr.read()
        child.wait(timeout=30)
    assert child.returncode == 1
    assert error == ""


def test_former_flags_are_read_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()
    given: list[tuple[str, int]] = []

    @app.command()
    def sampling(background_sampling: str = "matched", crop: int = 0) -> None:
        given.append((background_sampling, crop))

    renamed = {"--any-background": "--background-sampling uniform", "--window": "--crop"}
    assert main(app, ["--any-background", "--window=64"], renamed=renamed) == 0
    assert main(app, ["--background-sampling", "uniform", "--crop", "64"], renamed=renamed) == 0
    assert given == [("uniform", 64), ("uniform", 64)]
    assert capsys.readouterr().err.splitlines() == [
        "warning: --any-background is now --background-sampling uniform; write that",
        "warning: --window is now --crop; write that",
    ]
