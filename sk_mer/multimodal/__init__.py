"""The container of utterances: ragged sequences of any modalities, in memory or on disk."""

from .array import MultimodalArray

__all__ = ["MultimodalArray"]
