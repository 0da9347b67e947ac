"""From raw recordings to sequences of features."""

from .text import WordVectorSequences, tokenize

__all__ = ["WordVectorSequences", "tokenize"]
