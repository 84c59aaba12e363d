"""Labels, control, diversity and memorization as scores like any other: in the table, and for gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from defects.attributes.guide import GuideSchema
from metrics.bench.comparison import Comparison, Source
from metrics.bench.evidence import Evidence, SourceEvidence
from metrics.conditioning.control import EntryControl
from metrics.scores.score import Score
from metrics.scores.table import score_name

_SHORT = ("fid", "fid_infinity", "kid", "precision", "recall", "density", "coverage", "is")
_NOTHING = "not computed; see what could not be computed"


def score_names(extractors: Sequence[str], schemas: Iterable[GuideSchema | None]) -> list[str]:
    """Every score that a comparison may compute, in the order of the table."""
    entries = dict.fromkeys(name for schema in schemas if schema is not None for name in schema.names)
    return [
        *(score_name(short, extractor) for extractor in extractors for short in _SHORT),
        "diversity",
        "label_iou",
        *(f"control_{name}" for name in entries),
        "c_t",
        "copies",
    ]


def further_scores(comparison: Comparison, evidence: Evidence, source: Source) -> list[Score]:
    """The scores of one source that are not distances between sets of features."""
    own = evidence.sources[source.name]
    reasons = {missing.what: missing.why for missing in evidence.missing if missing.source in ("", source.name)}
    extractor = evidence.bank.extractor
    return [
        _diversity(own, len(comparison.real), extractor),
        _labels(evidence, own, comparison, reasons.get("labels", _NOTHING)),
        *_control(own, source, comparison, reasons.get("control", _NOTHING)),
        *_memorized(own, source, comparison, extractor, reasons.get("memorization", _NOTHING)),
    ]


def _diversity(own: SourceEvidence, n_real: int, extractor: str) -> Score:
    found = own.diversity
    return Score(
        name="diversity",
        value=found.share if found is not None else None,
        low=None,
        high=None,
        baseline=None,
        n_real=n_real,
        n_fake=found.images if found is not None else 0,
        extractor=extractor,
        estimator="mean distance of images of one mask and guide over that of real images",
        better="higher",
        warning=found.verdict if found is not None and found.verdict == "the noise is ignored" else "",
        why=found.why if found is not None else _NOTHING,
    )


def _labels(evidence: Evidence, own: SourceEvidence, comparison: Comparison, why: str) -> Score:
    held, found = evidence.held_labels, own.labels
    mean = found.defective if found is not None else None
    few = len(comparison.held) < 20
    return Score(
        name="label_iou",
        value=mean.value if mean is not None else None,
        low=mean.low if mean is not None else None,
        high=mean.high if mean is not None else None,
        baseline=held.defective.value if held is not None else None,
        n_real=held.defective.count if held is not None else 0,
        n_fake=mean.count if mean is not None else 0,
        extractor="segmenter of real defects",
        estimator=f"mean overlap on images of defects; trained on {evidence.trained_on} real images",
        better="higher",
        warning=f"{len(comparison.held)} unseen real images: the mark to compare with is rough"
        if few and found
        else "",
        why="" if mean is not None and mean.value is not None else why,
    )


def _control(own: SourceEvidence, source: Source, comparison: Comparison, why: str) -> list[Score]:
    if own.control is not None:
        return [_entry(entry, len(comparison.real)) for entry in own.control.entries]
    names = source.schema.names if source.schema is not None else ()
    return [
        Score(f"control_{name}", None, None, None, None, len(comparison.real), 0, "", "", "higher", why=why)
        for name in names
    ]


def _entry(entry: EntryControl, n_real: int) -> Score:
    numeric = entry.entry_type == "numeric"
    what = "rank correlation (Spearman)" if numeric else "share recognized"
    return Score(
        name=f"control_{entry.name}",
        value=entry.spearman if numeric else entry.accuracy,
        low=None,
        high=None,
        baseline=None if numeric else entry.reference,
        n_real=n_real,
        n_fake=entry.count,
        extractor="",
        estimator=f"{what}; {entry.how}" if entry.how else what,
        better="higher",
        why=entry.why or ("" if (entry.spearman if numeric else entry.accuracy) is not None else "it does not vary"),
    )


def _memorized(own: SourceEvidence, source: Source, comparison: Comparison, extractor: str, why: str) -> list[Score]:
    found = own.memorization
    n_real, n_fake = len(comparison.held), len(source.images)
    estimator = f"distances to {len(source.training_images)} training images, next to those of unseen real images"
    return [
        Score(
            name="c_t",
            value=found.c_t if found is not None else None,
            low=None,
            high=None,
            baseline=0.0 if found is not None and found.c_t is not None else None,
            n_real=n_real,
            n_fake=n_fake,
            extractor=extractor,
            estimator=f"z-score of a rank test; {estimator}",
            better="higher",
            why=(found.why if found.c_t is None else "") if found is not None else why,
        ),
        Score(
            name="copies",
            value=found.share_memorized if found is not None else None,
            low=None,
            high=None,
            baseline=found.share_expected if found is not None else None,
            n_real=n_real,
            n_fake=n_fake,
            extractor=extractor,
            estimator=f"nearer than half the median of unseen real images; {estimator}",
            better="lower",
            why="" if found is not None else why,
        ),
    ]
