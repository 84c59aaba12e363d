"""The MVTec AD folder: `train/good`, `test/<kind>`, `ground_truth/<kind>/<name>_mask.png`."""

from __future__ import annotations

from pathlib import Path

from defects.formats.listing import Found, list_images, subfolders
from defects.sample import GOOD, Sample


def fits(root: Path) -> bool:
    """Whether there are `train/good` or `ground_truth`, beside `test`."""
    return (root / "test").is_dir() and ((root / "ground_truth").is_dir() or (root / "train" / GOOD).is_dir())


def read(root: Path) -> Found:
    """Read the folder; the published split is kept as `metadata["split"]`."""
    found = Found()
    for split in ("train", "test"):
        for folder in subfolders(root / split):
            truths = root / "ground_truth" / folder.name
            masks = (
                {path.stem.removesuffix("_mask"): path for path in list_images(truths, root, found)}
                if split == "test"
                else {}
            )
            images = list_images(folder, root, found)
            for stem in sorted(masks.keys() - {image.stem for image in images}):
                found.issue(masks[stem], "a mask without its image", f"add test/{folder.name}/{stem}.png or remove it")
            for image in images:
                mask = masks.get(image.stem)
                if folder.name != GOOD and mask is None:
                    found.issue(
                        image,
                        "its mask is missing",
                        f"add ground_truth/{folder.name}/{image.stem}_mask.png, or move it to test/good",
                    )
                    continue
                found.samples.append(
                    Sample(
                        name=f"{split}/{folder.name}/{image.stem}",
                        image=image,
                        mask=mask,
                        label=folder.name.lower(),
                        metadata={"split": split},
                    )
                )
    return found
