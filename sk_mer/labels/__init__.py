"""Emotion labels and the word vectors that place them in a common space."""

from .emotion_words import EMOTION_WORDS
from .space import LabelSpace, load_label_vectors
from .suggestions import suggest_words

__all__ = ["EMOTION_WORDS", "LabelSpace", "load_label_vectors", "suggest_words"]
