"""Data to try things on, and readers of the files that this field holds."""

from ._corpus import EmotionCorpus
from ._feature_folders import load_feature_folders
from ._fetchers import fetch_glove, fetch_goemotions, fetch_ravdess
from ._generator import make_multimodal_emotions
from ._joiner import add_emotion_labels, load_emotion_labels
from ._load import load_cmu_mosei, load_iemocap, load_multimodal
from ._pickle_values import UnsafeFileError

__all__ = [
    "EmotionCorpus",
    "UnsafeFileError",
    "add_emotion_labels",
    "fetch_glove",
    "fetch_goemotions",
    "fetch_ravdess",
    "load_cmu_mosei",
    "load_emotion_labels",
    "load_feature_folders",
    "load_iemocap",
    "load_multimodal",
    "make_multimodal_emotions",
]
