"""One word for one thing: retired words come back neither in names, help, errors and docstrings nor in the docs.

`python tests/test_vocabulary.py PATH ...` lists what is left in files and folders.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = ("gan", "classify", "metrics", "augment", "defects", "engine", "inspection", "studio", "benchmarks")
DOCS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "examples")

# Retired in names and in prose.
RETIRED = """photograph photographs picture pictures square squares window windows ground grounds kind kinds judge
    judges judged judging fault faults told remark remarks asked wanted aim aims made drawn painted painter kept likest
    lay relief reliefs critic critics posterior posteriors players jolt jolts jolted learnt copies seen floor floors
    exposure exposures wishes tries brought beside mend mends mended cell cells""".split()
# Ordinary words of prose, yet no names: as names they meant something else in every file.
RETIRED_NAMES = """tell tells asks ask choice choices choose chosen likely site sites adams framing framings reach gone
    category paint paints""".split()
BRITISH = """gr(?:ey) colours? centred? centres? licen[c]es? catalogues? neighbours? behaviours? grey(?:s|ish)?
    (?:normal|optim|memor|local|recogn|summar|material|initial|organ|general|parametr|quant|visual|synthes|regular|
    standard|random|real|minim|maxim|final|discret|serial|vector|binar|util)is(?:es?|ed|ing|ations?|ers?)
    label(?:led|ling) model(?:led|ling) cancelled analysed?""".split()
# Names of other libraries and of published formats.
ALLOWED_NAMES = frozenset({"PureWindowsPath", "ground_truth"})
_FOREIGN = {"np", "study", "torch", "math", "F", "cv2", "ast", "rng"}
"""Modules of other libraries, and NumPy generators: their functions are called as they call them."""
ALLOWED_PROSE = re.compile(
    r"ground truth|ground_truth|Windows|gray levels?|mean squares?|least squares?|square (?:root|kernel|bracket)s?"
    r"|square matri(?:x|ces)|chi-square|LICENCE\.md|`[^`]*`"
)

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NAMES = frozenset(RETIRED) | frozenset(RETIRED_NAMES)
_BRITISH = re.compile(rf"\b(?:{'|'.join(BRITISH)})\b".replace("\n", ""), re.IGNORECASE)
_PROSE = re.compile(rf"\b(?:{'|'.join(RETIRED)}|gone on with|goes on with)\b", re.IGNORECASE)

_STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}

Found = tuple[int, str]
"""Line and word."""


def in_prose(text: str) -> Iterator[Found]:
    """Retired words and British spellings of a text; what stands in backticks is code."""
    for number, line in enumerate(text.split("\n"), start=1):
        plain = ALLOWED_PROSE.sub(" ", line)
        for match in [*_PROSE.finditer(plain), *_BRITISH.finditer(plain)]:
            yield number, match.group()


def in_code(text: str, *, prose: bool = True) -> Iterator[Found]:
    """Retired words of names; with `prose` those of comments, docstrings and messages as well.

    A string of a single word is a stored key, which stays as it is on disk.
    """
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for at, token in enumerate(tokens):
        line = token.start[0]
        if token.type == tokenize.NAME and token.string not in ALLOWED_NAMES:
            if _foreign(tokens, at):
                continue
            words = {word.lower() for word in _WORD.findall(token.string)}
            yield from ((line, f"{token.string}") for word in words if word in _NAMES or _BRITISH.fullmatch(word))
        elif prose and token.type == tokenize.COMMENT:
            yield from ((line, word) for _, word in in_prose(token.string))
        elif prose and token.type in _STRINGS and " " in token.string:
            yield from ((line + number - 1, word) for number, word in in_prose(token.string))


def _foreign(tokens: list[tokenize.TokenInfo], at: int) -> bool:
    """`np.square`, `tensor.square()`, `array.dtype.kind` and `sort(kind="stable")`."""
    before = [token.string for token in tokens[max(0, at - 2) : at]]
    after = [token.string for token in tokens[at + 1 : at + 3]]
    foreign = len(before) == 2 and before[1] == "." and before[0] in _FOREIGN | {"dtype"}
    method = before[1:] == ["."] and after[:1] == ["("] and tokens[at].string in ("square", "floor_", "choice")
    return foreign or method or after == ["=", '"stable"']


def files(paths: Iterable[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """The files of these endings, folders searched."""
    found = (inner for path in paths for inner in ([path] if path.is_file() else path.rglob("*")))
    return sorted(path for path in found if path.suffix in suffixes)


def retired(paths: Iterable[Path]) -> list[str]:
    """Every retired word as `file:line: word`."""
    lines = []
    for path in files(paths, (".py", ".md", ".yaml")):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".yaml":
            text = "\n".join(line.partition("#")[2] for line in text.split("\n"))
        found = in_code(text) if path.suffix == ".py" else in_prose(text)
        lines += [f"{path}:{line}: {word}" for line, word in found]
    return lines


@pytest.mark.parametrize("package", CODE)
def test_no_retired_word_in_code(package: str) -> None:
    assert retired([ROOT / package]) == []


@pytest.mark.parametrize("name", DOCS)
def test_no_retired_word_in_the_docs(name: str) -> None:
    assert retired([ROOT / name]) == []


def test_no_retired_word_in_the_comments_of_the_configurations() -> None:
    assert retired([ROOT / "configs"]) == []


def test_modules_are_not_called_by_retired_words() -> None:
    modules = files([ROOT / package for package in CODE], (".py",))
    words = _NAMES | {"looks", "written", "shown", "held", "opening", "utils", "helpers", "common", "misc"}
    stems = {path: path.stem.replace("held_out", "") for path in modules}  # a term of the field, unlike "held"
    assert [str(path) for path, stem in stems.items() if set(stem.split("_")) & words] == []


def test_the_check_fires() -> None:
    code = '''def judge(photograph, dtype):
    """What was asked for of a grey picture."""
    return sorted(photograph, kind="stable"), photograph.dtype.kind, {"kind": 1}  # kept
'''
    names = ["judge", "photograph", "asked", "picture", "grey", "photograph", "photograph", "kept"]
    assert [word for _, word in in_code(code)] == names
    text = "a crop beside `kind`, normalised; ground truth; gray levels"
    assert [word for _, word in in_prose(text)] == ["beside", "normalised"]


if __name__ == "__main__":
    print("\n".join(retired(Path(argument) for argument in sys.argv[1:])))
