"""Folders as `bench-fid` takes them: real parts, synthetic images with their generator, a tiny network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.images.decode import encode_image
from defects.manifest import row_of, write_manifest
from defects.provenance import Provenance, file_name
from defects.sample import Sample
from engine.files.atomic import sha256_file

SIDE = 32
SCHEMA = GuideSchema((NumericEntry("brightness", -0.5, 0.0), CategoricalEntry("kind", ("pit", "scratch"))))


def folder(
    root: Path,
    count: int = 12,
    *,
    seed: int = 0,
    source: str = "real",
    size: int = SIDE,
    channels: int = 1,
    good: int = 0,
    value: int | None = None,
) -> Path:
    """A sample folder of pits and scratches, two images a part; `value` makes every image that flat color."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count + good):
        class_name = "good" if index >= count else ("pit", "scratch")[index % 2]
        image = rng.integers(90, 200, (size, size, channels)).astype(np.uint8)
        mask = np.zeros((size, size), dtype=bool)
        depth = float(rng.uniform(0.1, 0.5))
        if class_name != "good":
            y, x = rng.integers(6, size - 14, 2)
            mask[y : y + (8 if class_name == "pit" else 2), x : x + 8] = True
            image[mask] = np.clip(image[mask] - depth * 255, 0, 255)
        if value is not None:
            image[:] = value
        name = f"{source}-{seed}-{index:02d}"
        files = {"images": encode_image(image), "masks": encode_image(mask)}
        for part, data in files.items():
            path = root / part / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        guide = {"brightness": -depth, "kind": class_name} if source == "synthetic" else {}
        sample = Sample(
            name,
            root / "images" / f"{name}.png",
            root / "masks" / f"{name}.png",
            label=class_name,
            group=f"{source}-{seed}-part{index // 2}",
            source=source,
            metadata={"guide": guide, "guide_scaled": SCHEMA.scale(guide)} if guide else {},
        )
        rows.append(row_of(sample, root))
    write_manifest(root, rows)
    return root


def trained_on(root: Path, *images: Path, crop: int | None = None, channels: int = 1) -> Path:
    """Say in a synthetic folder that its generator was trained on some files."""
    hashes = frozenset(sha256_file(path) for path in images)
    provenance = Provenance("c" * 64, SIDE, channels, crop, SCHEMA, train=len(hashes), train_sha256=hashes)
    (root / file_name).write_text(json.dumps(provenance.to_dict()), encoding="utf-8")
    return root


def images_of(root: Path) -> list[Path]:
    return sorted((root / "images").iterdir())


def network(path: Path, *, broken: bool = False) -> Path:
    """Six features: a fixed convolution, its positive part, its mean. A broken one answers with NaN."""
    weights = np.random.default_rng(7).normal(size=(6, 3, 5, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["raw"]),
        helper.make_node("Relu", ["raw"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        *(
            [helper.make_node("Neg", ["flat"], ["negative"]), helper.make_node("Log", ["negative"], ["features"])]
            if broken
            else [helper.make_node("Identity", ["flat"], ["features"])]
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ("n", 3, SIDE, SIDE))],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    for key, value in {"mean": "[0, 0, 0]", "std": "[1, 1, 1]", "size": str(SIDE), "channels": "3"}.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path
