"""Emotion labels and the word vectors that place them in a common space."""

from .emotion_words import EMOTION_WORDS
from .lookup import load_label_vectors
from .space import LabelSpace
from .suggestions import suggest_words
from .texts import LabelTexts, concat_label_vectors

__all__ = [
    "EMOTION_WORDS",
    "LabelSpace",
    "LabelTexts",
    "concat_label_vectors",
    "load_label_vectors",
    "suggest_words",
]
