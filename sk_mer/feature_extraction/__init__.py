"""From raw sentences, sound files and tables of faces to sequences."""

from .alignment import align_to_words, frames_by_word
from .audio import AcousticSequences
from .columns import ModalityColumns
from .pretrained_frames import PretrainedFrames
from .pretrained_speech import PretrainedSpeech
from .pretrained_text import PretrainedText
from .text import WordVectorSequences, tokenize
from .transcripts import read_transcript
from .vision import ActionUnitSequences

__all__ = [
    "AcousticSequences",
    "ActionUnitSequences",
    "ModalityColumns",
    "PretrainedFrames",
    "PretrainedSpeech",
    "PretrainedText",
    "WordVectorSequences",
    "align_to_words",
    "frames_by_word",
    "read_transcript",
    "tokenize",
]
