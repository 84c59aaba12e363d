"""Sets of known use: the verdict must be the true one."""

from __future__ import annotations

from pathlib import Path

import pytest

from classify.utility.analysis.verdict import HELPS, HURTS, NO_EVIDENCE
from tests.builders.utility import bench_of, folder, outcome, real_folder, verdicts


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_folder(tmp_path_factory.mktemp("planted"))


def test_new_true_defects_help(real: Path, tmp_path: Path) -> None:
    result = outcome(bench_of(real, {"true": folder(tmp_path / "true", 160, 0, seed=2)}))
    assert verdicts(result) == {"true": HELPS}
    assert result.first_line.startswith("true: helps next to classical augmentation")
    one = next(one for one in result.comparisons if one.verdict == HELPS and one.other == "real+classical")
    assert one.gain.low > 0
    assert "is not known" in " ".join(result.caveats(one))


def test_good_images_labeled_good_are_no_help(real: Path, tmp_path: Path) -> None:
    """Nothing new: more good images of the same surface, and no defect in them."""
    result = outcome(bench_of(real, {"copies": folder(tmp_path / "copies", 2, 158, seed=1, labels="empty")}))
    assert verdicts(result) == {"copies": NO_EVIDENCE}
    assert "use none" in result.first_line


def test_swapped_labels_hurt(real: Path, tmp_path: Path) -> None:
    result = outcome(bench_of(real, {"swapped": folder(tmp_path / "swapped", 120, 120, seed=3, labels="swapped")}))
    assert verdicts(result) == {"swapped": HURTS}
    assert "swapped: hurts" in result.first_line
