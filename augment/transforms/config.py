"""A pipeline as written in YAML: steps in order, each a transform with its chance and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from augment.transforms.catalog import Transform, transform

Border = Literal["reflect", "edge", "black"]


class StepConfig(BaseModel):
    """One step, written `rotation: {p: 0.5, degrees: [-5, 5]}` or just `rotation`.

    Attributes:
        transform: a name of the catalogue.
        p: the chance that it is applied.
        settings: all settings of the transform; those not written have the catalogue's defaults.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    transform: str
    p: float = Field(0.5, ge=0.0, le=1.0)
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {data: None}
        if not isinstance(data, Mapping) or ("transform" not in data and len(data) != 1):
            raise ValueError("expected one transform with its settings, as in `- rotation: {degrees: [-5, 5]}`")
        if "transform" in data:
            return {**data, "settings": transform(data["transform"]).parse(data.get("settings", {}))}
        ((name, settings),) = data.items()
        if settings is not None and not isinstance(settings, Mapping):
            raise ValueError(f"expected settings of {name}, as in `{{p: 0.5}}`, got {settings!r}")
        given = dict(settings or {})
        step = {"p": given.pop("p")} if "p" in given else {}
        return {"transform": name, **step, "settings": transform(name).parse(given)}

    @model_serializer
    def _write(self) -> dict[str, Any]:
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in self.settings.items()}
        return {self.transform: {"p": self.p, **plain}}

    @property
    def kind(self) -> Transform:
        """The catalogue's entry."""
        return transform(self.transform)


class PipelineConfig(BaseModel):
    """A pipeline.

    Attributes:
        description: where the figures come from, and what was decided where the source is silent.
        min_defect_kept: share of the defect's pixels that must remain in the picture and uncovered, over all steps
            together; a transform that would leave less is drawn anew, and passed over if that does not help. 0 lets
            the label follow in every case.
        redraws: how often it is drawn anew.
        border: what fills the edge that a move uncovers, in image and mask alike: the picture mirrored, its edge drawn
            out, or black.
        steps: in order; moves that follow one another are carried out as one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    min_defect_kept: float = Field(0.5, ge=0.0, le=1.0)
    redraws: int = Field(8, ge=0, le=100)
    border: Border = "reflect"
    steps: list[StepConfig] = Field(default_factory=list)
