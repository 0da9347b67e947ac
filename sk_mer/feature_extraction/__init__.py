"""From raw sentences, sound files and tables of faces to sequences."""

from .alignment import align_to_words, frames_by_word
from .audio import AcousticSequences
from .columns import ModalityColumns
from .text import WordVectorSequences, tokenize
from .vision import ActionUnitSequences

__all__ = [
    "AcousticSequences",
    "ActionUnitSequences",
    "ModalityColumns",
    "WordVectorSequences",
    "align_to_words",
    "frames_by_word",
    "tokenize",
]
