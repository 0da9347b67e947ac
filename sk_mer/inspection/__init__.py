"""Pictures of what models do."""

from ._continual import ContinualReportDisplay
from ._missing import MissingModalityDisplay, missing_modality_report

__all__ = ["ContinualReportDisplay", "MissingModalityDisplay", "missing_modality_report"]
