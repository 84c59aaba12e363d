"""Sets of known worth: the verdict must be the true one."""

from __future__ import annotations

from pathlib import Path

import pytest

from classify.utility.analysis.verdict import HELPS, HURTS, NO_EVIDENCE
from classify.utility.report.sentences import caveats, first_line
from tests.classify.utility_folders import bench_of, folder, outcome, real_folder, verdicts


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_folder(tmp_path_factory.mktemp("planted"))


def test_new_true_defects_help(real: Path, tmp_path: Path) -> None:
    found = outcome(bench_of(real, {"true": folder(tmp_path / "true", 160, 0, seed=2)}))
    assert verdicts(found) == {"true": HELPS}
    assert found.first_line.startswith("true: helps beside classical augmentation")
    one = next(one for one in found.comparisons if one.verdict == HELPS and one.other == "real+classical")
    assert one.gain.low > 0
    assert "is not known" in " ".join(caveats(one, found.bench))


def test_good_images_labelled_good_are_no_help(real: Path, tmp_path: Path) -> None:
    """Nothing new: more good images of the same surface, and no defect in them."""
    found = outcome(bench_of(real, {"copies": folder(tmp_path / "copies", 2, 158, seed=1, look="empty")}))
    assert verdicts(found) == {"copies": NO_EVIDENCE}
    assert "use none" in first_line(found.comparisons)


def test_swapped_labels_hurt(real: Path, tmp_path: Path) -> None:
    found = outcome(bench_of(real, {"swapped": folder(tmp_path / "swapped", 120, 120, seed=3, look="swapped")}))
    assert verdicts(found) == {"swapped": HURTS}
    assert "swapped: hurts" in found.first_line
