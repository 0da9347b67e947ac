"""What no code can tell of a system: its paper, and what was wrong in public code.

A row a system, by the name of its class without "Classifier" or "Regressor";
``sk_mer.systems()`` computes all else. A row may be there before its class.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FACTS", "SystemFacts"]


@dataclass(frozen=True)
class SystemFacts:
    """Of one system.

    Parameters
    ----------
    name : str
        As papers write it.
    paper : str
        Authors and where it appeared.
    year : int
        Of that.
    link : str
        To the paper.
    repaired : tuple of str
        Faults of public code that are not repeated here, a clause each, or that there is
        no such code.
    n_steps : int, default=20
        Longest utterance that the published network is built for, where its size
        depends on that.
    """

    name: str
    paper: str
    year: int
    link: str
    repaired: tuple[str, ...]
    n_steps: int = 20


_ARXIV = "https://arxiv.org/abs/"
_MTE = ("Dai, Liu, Yu and Fung, AACL", 2020, f"{_ARXIV}2009.09629")
_PADDED = "the last step of the padded array is read, not that of the utterance"

FACTS: dict[str, SystemFacts] = {
    "AttentionFusion": SystemFacts(
        "Attention fusion",
        "Lian and others, MERBench",
        2024,
        f"{_ARXIV}2401.03429",
        (
            "weights of modalities are not normalized",
            "sequences are padded in front and read at the last step of the array",
        ),
    ),
    "CMDM": SystemFacts(
        "CMDM",
        "Liang, Li and Jin, ACM Multimedia",
        2020,
        f"{_ARXIV}2009.02598",
        ("there is no public code; what the paper leaves open is chosen here",),
    ),
    "EFLSTM": SystemFacts("EF-LSTM", *_MTE, (_PADDED,)),
    "EmoBed": SystemFacts(
        "EmoBed",
        "Han, Zhang, Ren and Schuller, IEEE Transactions on Affective Computing",
        2021,
        f"{_ARXIV}1907.10428",
        ("there is no public code; what the paper leaves open is chosen here",),
    ),
    "GraphMFN": SystemFacts(
        "Graph-MFN",
        "Zadeh and others, ACL",
        2018,
        "https://aclanthology.org/P18-1208/",
        ("the networks of the vertices are never trained and never saved",),
    ),
    "LFLSTM": SystemFacts("LF-LSTM", *_MTE, (_PADDED,)),
    "MCTN": SystemFacts(
        "MCTN",
        "Pham and others, AAAI",
        2019,
        f"{_ARXIV}1812.07809",
        (
            "attention does not depend on the state of the decoder",
            "the forget gate has the weights of the input gate",
            "padded steps count in the loss",
        ),
    ),
    "MTE": SystemFacts(
        "MTE",
        *_MTE,
        (
            _PADDED,
            "learned weights of modalities are lost where one is left out",
            "a batch of one utterance, or one label, loses an axis",
        ),
    ),
    "MTL": SystemFacts(
        "MTL",
        "Akhtar and others, NAACL",
        2019,
        f"{_ARXIV}1905.05812",
        (
            "attention reads padded utterances",
            "thresholds and the epoch are chosen on test data",
        ),
    ),
    "MulT": SystemFacts(
        "MulT",
        "Tsai and others, ACL",
        2019,
        f"{_ARXIV}1906.00295",
        (
            "padded steps are attended to, and the last of them is read",
            "a step whose first value is exactly 0 is taken for padding",
        ),
    ),
    "RAVEN": SystemFacts(
        "RAVEN",
        "Wang and others, AAAI",
        2019,
        f"{_ARXIV}1811.09362",
        (
            "no gradient reaches the networks of audio and vision",
            "utterances of a batch change each other's predictions",
            "vision is read at the lengths of audio",
        ),
    ),
    "RMFN": SystemFacts(
        "RMFN",
        "Liang, Liu, Zadeh and Morency, EMNLP",
        2018,
        f"{_ARXIV}1808.03920",
        (
            "zeros take the place of what is to be fused",
            "fusion starts at new random numbers in each call",
            "what is fused passes a sigmoid and then a softmax",
        ),
    ),
    "TAILOR": SystemFacts(
        "TAILOR",
        "Zhang, Chen, Shen and Wang, AAAI",
        2022,
        f"{_ARXIV}2201.05834",
        (
            "the last epoch is kept, not the best one",
            "up to 63 utterances of validation and test data are left out",
            "padded steps are attended to",
            "the lengths of the alignment loss are those after alignment",
        ),
        n_steps=60,
    ),
}
