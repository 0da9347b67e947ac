"""Systems written out in the straight way, for ``engines.py`` to compare with.

Every utterance is padded to the window and padding is read like all else; recurrent parts
go step by step, as public code does; everything is computed where it is needed, one product
at a time. With sk_mer's weights the answers are sk_mer's, where utterances fill the window
(``tests/test_straight.py``).
"""

from .base import Straight
from .cmdm import CMDM
from .mult import MulT
from .recurrent import EFLSTM, LFLSTM, MCTN, MTE, RAVEN, RMFN, AttentionFusion, GraphMFN
from .tailor import TAILOR

__all__ = [
    "CMDM",
    "EFLSTM",
    "LFLSTM",
    "MCTN",
    "MTE",
    "RAVEN",
    "RMFN",
    "TAILOR",
    "AttentionFusion",
    "GraphMFN",
    "MulT",
    "Straight",
]
