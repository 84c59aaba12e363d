"""What real and pasted images cannot be compared, in one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from classify.utility.division import Division
from classify.utility.settings import PHOTOGRAPHS, SQUARES
from classify.utility.sources import MadeSet
from defects.sample import GOOD, Sample
from engine.errors import DataError

__all__ = ["refuse_one_class", "refuse_pasted"]


def refuse_one_class(root: Path, real: Sequence[Sample], unit: str) -> None:
    """Refuses photographs that are all alike; squares of defective ones are not.

    Raises:
        DataError: They are, or it is not known which squares are defective.
    """
    defective = [sample for sample in real if sample.label != GOOD]
    blind = sum(not sample.has_pixels for sample in defective)
    if not defective:
        raise DataError(f"{root}: all {len(real)} images are good; give both good and defective ones")
    if blind and unit == SQUARES:
        raise DataError(
            f"{root}: {blind} defective images have no mask, so that it is not known which of their squares "
            f"are defective; give masks, or --unit {PHOTOGRAPHS}"
        )
    if len(defective) == len(real) and (unit == PHOTOGRAPHS or blind):
        more = f"; give masks with them (--unit {SQUARES})" if blind else f", or --unit {SQUARES}"
        raise DataError(f"{root}: all {len(real)} images are defective; give both good and defective ones{more}")


def refuse_pasted(pasted: MadeSet, division: Division, hashes: Mapping[str, str]) -> None:
    """Refuses a folder of pasted images that shows a held-out photograph, or does not say what it shows.

    Raises:
        DataError: It does.
    """
    held = {hashes[sample.name]: sample.name for sample in [*division.val, *division.test]}
    for sample in pasted.samples:
        for part in ("ground", "defect"):
            origin = sample.metadata.get(part)
            digest = origin.get("sha256") if isinstance(origin, dict) else None
            if digest in held:
                raise DataError(
                    f"{pasted.root}: {sample.name} is pasted from the held-out {held[digest]}; "
                    "give a method such as --pasted alpha, which takes training images only"
                )
        if not isinstance(sample.metadata.get("ground"), dict):
            raise DataError(
                f"{pasted.root}: {sample.name} does not say what it is pasted from (columns ground and defect); "
                "give a folder of mix-defects paste, or a method such as --pasted alpha"
            )
