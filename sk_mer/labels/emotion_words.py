"""Word forms and synonyms of the emotions of the field's corpora.

The lists were written down before any score was computed with them, and are not tuned:
first the forms of the word itself (section 6.2 of the MTE paper finds that the form
matters), then words beside it on Plutchik's wheel or in a synset of WordNet. No word
stands for two emotions of one corpus.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["EMOTION_WORDS", "emotion_words", "stand_ins"]

# Names of an emotion in MOSEI, IEMOCAP and its codes, RAVDESS, CREMA-D, MELD, GoEmotions,
# EmoDB, MER and AffectNet, and of the two sides of sentiment; and its words.
_LISTS = {
    "admiration": "admiration admire admired admiring admirable respect respected "
    "impressed impressive praise",
    "amusement": "amusement amused amusing amuse funny hilarious humorous laugh laughing",
    "anger angry ang": "anger angry angrily angered mad furious fury rage outraged",
    "annoyance annoyed": "annoyance annoyed annoying annoy annoys irritated irritating "
    "irritation bothered",
    "approval": "approval approve approved approving agree agreed agreement support "
    "supported endorse",
    "boredom bored": "boredom bored boring dull tedious uninterested monotonous",
    "calm": "calm calmly calmness calming peaceful relaxed relaxing tranquil serene",
    "caring": "caring care cares cared compassion compassionate kindness comfort sympathy "
    "concern",
    "confusion confused": "confusion confused confusing confuse puzzled puzzling baffled "
    "bewildered perplexed",
    "contempt": "contempt contemptuous disdain disdainful scorn scornful despise despised",
    "curiosity curious": "curiosity curious curiously wonder wondering intrigued "
    "interested interest inquisitive",
    "desire": "desire desired desires want wanted wish crave craving longing yearning",
    "disappointment disappointed": "disappointment disappointed disappointing disappoint "
    "dissatisfied dissatisfaction discouraged disillusioned letdown",
    "disapproval": "disapproval disapprove disapproved disapproving disagree disagreement "
    "objection condemn criticize dislike",
    "disgust disgusted dis": "disgust disgusted disgusting gross nasty revolting repulsive "
    "sick sickening yucky",
    "embarrassment embarrassed": "embarrassment embarrassed embarrassing embarrass awkward "
    "humiliated humiliating humiliation ashamed shame",
    "excitement excited exciting exc": "excitement excited exciting excite excitedly "
    "thrilled thrilling eager enthusiastic",
    "fear fearful fea": "fear fearful feared afraid scared scary frightened terrified "
    "terrifying terror",
    "frustration frustrated frustrating fru": "frustration frustrated frustrating "
    "frustrate exasperated exasperating aggravated thwarted",
    "gratitude grateful": "gratitude grateful thankful thanks thank appreciate appreciated "
    "appreciation",
    "grief": "grief grieve grieving mourning mourn sorrow bereavement loss heartbroken",
    "joy joyful happiness happy hap": "joy joyful happiness happy happily glad cheerful "
    "delight delighted",
    "love": "love loved loves loving lovely adore affection affectionate beloved fond",
    "nervousness nervous worried": "nervousness nervous nervously anxious anxiety worried "
    "worry worrying uneasy tense",
    "neutral neu": "neutral neutrality normal ordinary plain usual indifferent unemotional",
    "optimism optimistic": "optimism optimistic optimist hope hopeful hoping hopefully "
    "encouraging confident",
    "pride proud": "pride proud proudly accomplished accomplishment achievement triumph "
    "triumphant",
    "realization": "realization realize realized realizing understand understood "
    "understanding aware insight discovered",
    "relief relieved": "relief relieved relieve relieving reassured reassuring eased phew",
    "remorse": "remorse remorseful regret regretted regretful sorry apologize apology "
    "guilt guilty",
    "sadness sad": "sadness sad sadly saddened unhappy depressed depressing miserable "
    "gloomy",
    "surprise surprised surprising sur": "surprise surprised surprising surprisingly "
    "amazed astonished astonishing startled shocked unexpected",
    "negative": "negative negatively bad awful poor terrible unpleasant unfavorable",
    "positive": "positive positively good great nice excellent pleasant favorable",
}
#: Word forms and synonyms by name of an emotion; see ``forms`` of ``load_label_vectors``.
EMOTION_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        name: tuple(words.split())
        for names, words in _LISTS.items()
        for name in names.split()
    }
)


# Emotions that small vector files often lack, with the two words that say most of them
# alone. Published label vectors were spelled so: not to be derived from the lists above.
_PAIRS = {
    "admiration": ("respect", "praise"),
    "anger": ("angry", "mad"),
    "angry": ("anger", "mad"),
    "approval": ("agree", "support"),
    "calm": ("peaceful", "relaxed"),
    "caring": ("care", "comfort"),
    "curiosity": ("curious", "wonder"),
    "desire": ("want", "wish"),
    "disgust": ("awful", "sick"),
    "excited": ("thrilled", "eager"),
    "fear": ("afraid", "scared"),
    "frustrated": ("annoyed", "upset"),
    "gratitude": ("thankful", "grateful"),
    "grief": ("death", "loss"),
    "happy": ("glad", "cheerful"),
    "joy": ("happy", "delight"),
    "nervousness": ("nervous", "worried"),
    "neutral": ("normal", "plain"),
    "optimism": ("hopeful", "hope"),
    "pride": ("achievement", "respect"),
    "realization": ("realized", "understand"),
    "relief": ("relieved", "comfort"),
    "remorse": ("sorry", "regret"),
    "sad": ("unhappy", "sorrow"),
    "sadness": ("sad", "sorrow"),
    "surprise": ("surprised", "amazed"),
}


def stand_ins(name: Any) -> tuple[str, ...]:
    """Words that can stand for an emotion, the best first; none if it is unknown.

    Parameters
    ----------
    name : object
        A label.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from sk_mer.labels.emotion_words import stand_ins
    >>> stand_ins("calm"), stand_ins("amused")
    (('peaceful', 'relaxed'), ())
    """
    return _PAIRS.get(name) or emotion_words(name) or ()


def emotion_words(name: Any) -> tuple[str, ...] | None:
    """The words of an emotion, in whatever case its name is written; None if unknown.

    Parameters
    ----------
    name : object
        A label.

    Returns
    -------
    tuple of str or None

    Examples
    --------
    >>> from sk_mer.labels.emotion_words import emotion_words
    >>> emotion_words("ANG")[:3]
    ('anger', 'angry', 'angrily')
    """
    return EMOTION_WORDS.get(name.lower()) if isinstance(name, str) else None
