"""What each system needs and can do, read from the classes themselves."""

from __future__ import annotations

import csv
from pathlib import Path

from sk_mer import models

HEADER = ["System", "Fitted on", "Predicts from", "Equal steps", "Unseen labels"]
HEADER += ["Numbers", "ONNX"]
_MODALITIES = ["text", "audio", "vision"]


def rows() -> list[list[str]]:
    """One row a system; its classifier speaks for its regressor."""
    names = [name for name in models.__all__ if name.endswith("Classifier")]
    return [_row(name.removesuffix("Classifier")) for name in names]


def _row(system: str) -> list[str]:
    kind = getattr(models, f"{system}Classifier")
    estimator = kind()
    fitted_on, predicts_from = (
        _needed(estimator._required(_MODALITIES, fitting=fitting))
        for fitting in (True, False)
    )
    return [
        f":class:`~sk_mer.{kind.__name__}`",
        fitted_on,
        predicts_from,
        _yes(kind._needs_aligned),
        _yes(kind._uses_label_vectors),
        _yes(f"{system}Regressor" in models.__all__),
        _yes(hasattr(estimator, "export_onnx")),
    ]


def _needed(required: list[str] | tuple[str, ...]) -> str:
    if not required:
        return "any modality"
    return "all" if set(required) == set(_MODALITIES) else " and ".join(required)


def _yes(answer: bool) -> str:
    return "yes" if answer else "-"


def write(path: Path) -> None:
    """The table as CSV, for the page of the systems."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows()])
