"""From what is asked for to a comparison: folders opened and checked, real images divided, cells laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from augment.mixer.seen import image_hashes
from augment.paste.made import METHODS
from classify.utility.arms import PASTED, arms_of
from classify.utility.bench import Bench, Request
from classify.utility.cells import Level, cells_of
from classify.utility.division import Division, divide, refuse_too_few, with_good
from classify.utility.few_shot import level_of
from classify.utility.levels import is_template, open_levels, refuse_more_than_its_level
from classify.utility.reach import levels, reachable, reachable_pasted
from classify.utility.refusals import refuse_one_class, refuse_pasted
from classify.utility.settings import SQUARES, Settings
from classify.utility.sources import MadeSet, open_made, refuse_test_images
from classify.utility.units import cover, squares_notes, unit_of
from defects.images import image_info
from defects.layouts.dataset import open_dataset
from defects.sample import GOOD, Sample
from engine.errors import UsageError

__all__ = ["open_bench"]


def open_bench(request: Request) -> Bench:
    """Opens the folders and divides the images; nothing is computed yet.

    Raises:
        DataError: A folder is missing or faulty, or too few images are left.
        UsageError: The sets do not fit one another, or more is asked for than there is.
    """
    real = open_dataset(request.real).samples
    refuse_one_class(request.real, real, request.settings.unit)
    made = [open_made(name, folder) for name, folder in request.synthetic if not is_template(folder)]
    pasted = None
    if request.pasted is not None and request.pasted not in METHODS:
        folder = Path(request.pasted)
        if not folder.is_dir():
            raise UsageError(f"--pasted: {request.pasted!r} is neither one of {', '.join(METHODS)} nor a folder")
        pasted = open_made(PASTED, folder)
    hashes = image_hashes(real)
    division = divide(real, hashes, made, request.settings)
    unit, why = unit_of(request.settings.unit, division)
    if unit != SQUARES:
        division = with_good(division, request.settings)
    defective = sum(sample.label != GOOD for sample in division.train)
    shots = levels(request.shots, defective)
    own = _own_sets(request, real, hashes, division, shots)
    settings = _framed(request.settings, [*made, *(each for sets in own.values() for each in sets.values())], real)
    settings = replace(settings, unit=unit)
    squares = None
    if unit == SQUARES:
        squares, settings = cover(division, hashes, settings)
    refuse_too_few(division if squares is None else squares.items, unit)
    if pasted is not None:
        refuse_pasted(pasted, division, hashes)
    arms = arms_of([name for name, _ in request.synthetic], pasted=request.pasted is not None)
    cells = cells_of(arms, request.ratios, shots, range(request.seeds))
    sizes = {each.name: len(each.samples) for each in made}
    sizes |= {name: min(len(each.samples) for each in sets.values()) for name, sets in own.items()}
    cells, skipped = reachable(cells, sizes, defective)
    if pasted is not None:
        cells, more = reachable_pasted(cells, pasted, division, hashes)
        skipped += more
    if not any(cell.arm.made for cell in cells):
        raise UsageError(f"nothing to compare is left: {skipped[0]}; give other --ratios, --shots or more images")
    shared = request.pasted in METHODS and None in shots and settings.mode == "frozen"
    notes = [*division.notes, *squares_notes(squares, why, shared=shared)]
    return Bench(
        request, settings, real, hashes, division, made, own, pasted, arms, cells, skipped, notes, squares, why
    )


def _own_sets(
    request: Request,
    real: Sequence[Sample],
    hashes: dict[str, str],
    division: Division,
    shots: Sequence[int | None],
) -> dict[str, dict[Level, MadeSet]]:
    """The sets of which every level and seed has its own, none of which knows more than its level."""
    wanted = [(count, seed) for count in shots for seed in range(request.seeds)]
    found = {name: open_levels(name, folder, wanted) for name, folder in request.synthetic if is_template(folder)}
    defective = [sample for sample in division.train if sample.label != GOOD]
    good = [sample for sample in division.train if sample.label == GOOD]
    for sets in found.values():
        for level, made in sets.items():
            refuse_test_images(made, division.test, hashes)
            refuse_more_than_its_level(made, level_of(defective, level), good, real, hashes)
    return found


def _framed(settings: Settings, made: Sequence[MadeSet], real: Sequence[Sample]) -> Settings:
    """Window and channels of the generators, where they are known and not given."""
    window, channels = settings.window, settings.channels
    origins = {each.root: each.provenance for each in made if each.provenance is not None}
    if window is None and origins:
        windows = {origin.window: root for root, origin in origins.items()}
        if len(windows) > 1:
            shown = ", ".join(f"{value or 'the shorter side'} for {root}" for value, root in windows.items())
            raise UsageError(
                f"--synthetic: the generators saw different windows of a photograph ({shown}); give --window"
            )
        window = next(iter(windows))
    if not channels:
        of_real = 1 if all(image_info(sample.image).channels < 3 for sample in real[:20]) else 3
        channels = min([of_real, *(origin.channels for origin in origins.values())])
    return replace(settings, window=window, channels=channels)
