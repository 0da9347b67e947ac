"""Emotion labels and the word vectors that place them in a common space."""

from .space import LabelSpace, load_label_vectors
from .suggestions import suggest_words

__all__ = ["LabelSpace", "load_label_vectors", "suggest_words"]
