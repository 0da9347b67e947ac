"""Pictures of what models do."""

from ._continual import ContinualReportDisplay

__all__ = ["ContinualReportDisplay"]
