"""The container of utterances: ragged sequences of any modalities, in memory or on disk."""

from ._duplicates import duplicate_groups
from .array import MultimodalArray

__all__ = ["MultimodalArray", "duplicate_groups"]
