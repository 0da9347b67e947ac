"""A block diagram of each published system, by the name of its page in the guide."""

from __future__ import annotations

from pathlib import Path

from block_diagrams import Diagram

_INPUTS = {
    "t": (0, 0, "text", "text"),
    "a": (0, 1, "audio", "audio"),
    "v": (0, 2, "vision", "vision"),
}


def _lanes(name: str, column: float, text: str, step: float = 1.0) -> dict:
    """A box with the same text for each modality: ``name_t``, ``name_a``, ``name_v``."""
    kinds = zip("tav", ("text", "audio", "vision"), strict=True)
    return {
        f"{name}_{key}": (column, step * row, text, kind)
        for row, (key, kind) in enumerate(kinds)
    }


def _each(pattern: str) -> str:
    """Arrows for each modality: ``m`` in braces stands for t, a and v."""
    return "; ".join(pattern.replace("{m}", key) for key in "tav")


DIAGRAMS = {
    "mte": Diagram(
        "An LSTM reads each modality; word vectors of the emotions are mapped into the "
        "space of each; dot products of the two are summed with learned weights.",
        {
            "t": (0, 0, "text", "text"),
            "a": (0, 1.8, "audio", "audio"),
            "v": (0, 4.5, "vision", "vision"),
            "words": (0, 2.7, "emotions", "label"),
            "r_t": (1, 0, "BiLSTM, last step", "text"),
            "r_a": (1, 1.8, "BiLSTM, last step", "audio"),
            "r_v": (1, 4.5, "BiLSTM, last step", "vision"),
            "e_t": (1, 0.9, "word vector", "label"),
            "e_a": (1, 2.7, "$W_a$ word vector + $b_a$", "label"),
            "e_v": (1, 3.6, "$W_v$ word vector + $b_v$", "label"),
            "s_t": (2, 0.45, "dot product", "text"),
            "s_a": (2, 2.25, "dot product", "audio"),
            "s_v": (2, 4.05, "dot product", "vision"),
            "sum": (3, 2.25, "weighted\nsum", "shared"),
            "z": (4, 2.25, "logits", "label"),
        },
        _each("{m} > r_{m} > s_{m} > sum; words > e_{m} > s_{m}") + "; sum > z",
    ),
    "lf_lstm": Diagram(
        "An LSTM reads each modality; their last states side by side feed a linear layer.",
        {
            **_INPUTS,
            **_lanes("r", 1, "BiLSTM, last step"),
            "join": (2, 1, "side by side", "shared"),
            "head": (3, 1, "linear layer", "shared"),
            "z": (4, 1, "logits", "label"),
        },
        _each("{m} > r_{m} > join") + "; join > head > z",
    ),
    "ef_lstm": Diagram(
        "Features of all modalities stand side by side at each step; one LSTM reads them.",
        {
            **_INPUTS,
            "join": (1, 1, "side by side\nat each step", "shared"),
            "r": (2, 1, "BiLSTM,\nlast step", "shared"),
            "head": (3, 1, "linear layer", "shared"),
            "z": (4, 1, "logits", "label"),
        },
        _each("{m} > join") + "; join > r > head > z",
    ),
    "attention_fusion": Diagram(
        "An encoder turns each modality into one vector; a network on all of them gives "
        "the weights of their sum.",
        {
            **_INPUTS,
            **_lanes("h", 1, "3 layers or LSTM"),
            "w": (2, 2.9, "3 layers, softmax:\nweights", "shared"),
            "sum": (3, 1, "weighted\nsum", "shared"),
            "head": (4, 1, "linear layer", "shared"),
            "z": (5, 1, "logits", "label"),
        },
        _each("{m} > h_{m} > sum; h_{m} > w") + "; w > sum > head > z",
    ),
    "mult": Diagram(
        "Each modality attends to the two others in transformers, then to itself; the "
        "last steps side by side give the logits.",
        {
            **_lanes("x", 0, "", 1.3),
            "x_t": (0, 0, "text", "text"),
            "x_a": (0, 1.3, "audio", "audio"),
            "x_v": (0, 2.6, "vision", "vision"),
            **_lanes("c", 1, "convolution,\npositions", 1.3),
            "m_t": (2, 0, "text attends to\naudio and vision", "text"),
            "m_a": (2, 1.3, "audio attends to\ntext and vision", "audio"),
            "m_v": (2, 2.6, "vision attends to\ntext and audio", "vision"),
            **_lanes("s", 3, "self-attention,\nlast step", 1.3),
            "join": (4, 1.3, "2 layers,\nresidual", "shared"),
            "z": (5, 1.3, "logits", "label"),
        },
        _each("x_{m} > c_{m} > m_{m} > s_{m} > join")
        + "; c_t > m_a; c_t > m_v; c_a > m_t; c_a > m_v; c_v > m_t; c_v > m_a; join > z",
    ),
    "mctn": Diagram(
        "The encoded text must suffice to decode audio, and audio to decode the text "
        "again; a second encoder on the first must suffice to decode vision. Only the "
        "encoders of text are used to predict.",
        {
            "t": (0, 0, "text", "text"),
            "e1": (1, 0, "encoder 1", "text"),
            "e2": (2, 0, "encoder 2", "text"),
            "pool": (3, 0, "LSTM,\nattention", "text"),
            "z": (4, 0, "logits", "label"),
            "a": (0, 1.4, "audio", "audio~"),
            "d1": (1, 1.4, "decoder 1:\naudio, error", "audio~"),
            "d2": (2, 1.4, "decoder 2:\nvision, error", "vision~"),
            "v": (3, 1.4, "vision", "vision~"),
            "back": (1, 2.7, "encoder 1, decoder 1:\ntext again, error", "text~"),
        },
        "t > e1 > e2 > pool > z; e1 ~> d1 ~> back; a ~> d1; e2 ~> d2; v ~> d2",
    ),
    "graph_mfn": Diagram(
        "An LSTM reads each modality. At each step a graph joins the states of single "
        "modalities to pairs, these to all three, and all of them to an output that is "
        "written into a memory. The last states and the memory give the logits.",
        {
            **_INPUTS,
            **_lanes("h", 1, "LSTM"),
            **_lanes("n", 2, ""),
            "n_t": (2, 0, "text", "text"),
            "n_a": (2, 1, "audio", "audio"),
            "n_v": (2, 2, "vision", "vision"),
            "ta": (3, 0, "text+audio", "shared"),
            "tv": (3, 1, "text+vision", "shared"),
            "av": (3, 2, "audio+vision", "shared"),
            "tav": (4, 1, "all three", "shared"),
            "tau": (5, 1, "output", "shared"),
            "u": (6, 1, "memory", "shared"),
            "last": (2, 3.3, "last states", "shared"),
            "head": (6, 3.3, "2 layers", "shared"),
            "z": (7, 3.3, "logits", "label"),
        },
        _each("{m} > h_{m} > n_{m}; h_{m} > last")
        + "; n_t > ta; n_t > tv; n_a > ta; n_a > av; n_v > tv; n_v > av"
        + "; ta > tav; tv > tav; av > tav; tav > tau > u > head > z; last > head",
        {
            "at each step: from every vertex to each larger one and to the output, "
            "times its efficacy": "n_t n_v ta av tav tau u"
        },
    ),
    "rmfn": Diagram(
        "At each step the states of an LSTM cell a modality pass several stages; each "
        "highlights a part of the states and fuses it. The summary of all stages is read "
        "by the cells at the next step.",
        {
            **_INPUTS,
            "before": (0, 3.1, "summary,\nlast step", "shared"),
            **_lanes("h", 1, "LSTM cell"),
            "join": (2, 1, "states", "shared"),
            "high": (3, 1, "highlight:\nsoftmax", "shared"),
            "fuse": (4, 1, "fuse:\nLSTM", "shared"),
            "sum": (5, 1, "summary:\n2 layers", "shared"),
            "head": (6, 1, "2 layers", "shared"),
            "z": (7, 1, "logits", "label"),
        },
        _each("{m} > h_{m} > join; before > h_{m}")
        + "; join > high > fuse > sum > head > z; sum > before",
        {"several stages": "high fuse"},
    ),
    "raven": Diagram(
        "What is heard and seen beside a word, one frame or several, passes a linear layer "
        "and an LSTM, and a gate that also reads the word; both give a shift, added to the "
        "vector of the word. An LSTM reads the shifted words.",
        {
            "a": (0, 0, "audio", "audio"),
            "t": (0, 1.1, "words", "text"),
            "v": (0, 2.2, "vision", "vision"),
            "s_a": (1, 0, "LSTM", "audio"),
            "s_v": (1, 2.2, "LSTM", "vision"),
            "g_a": (2, 0, "times gate", "audio"),
            "g_v": (2, 2.2, "times gate", "vision"),
            "h": (3, 0, "layer:\nshift", "shared"),
            "e": (4, 1.1, "word + shift,\nlimited", "text"),
            "r": (5, 1.1, "LSTM,\nlast step", "shared"),
            "z": (6, 1.1, "logits", "label"),
        },
        "t > e > r > z; a > s_a > g_a > h; v > s_v > g_v > h; h > e; t > g_a; t > g_v",
    ),
    "mtl": Diagram(
        "Each utterance of a video is the mean of its steps in each modality. A GRU reads "
        "the utterances in their order; each modality attends to the two others.",
        {
            **_INPUTS,
            **_lanes("m", 1, "mean of steps"),
            **_lanes("x", 2, "GRU, layer"),
            "ta": (3, 0, "text ↔ audio", "shared"),
            "tv": (3, 1, "text ↔ vision", "shared"),
            "av": (3, 2, "audio ↔ vision", "shared"),
            "head": (4, 1, "side by side,\nlinear layer", "shared"),
            "z": (5, 1, "logits", "label"),
        },
        _each("{m} > m_{m} > x_{m}")
        + "; x_t > ta; x_a > ta; x_t > tv; x_v > tv; x_a > av; x_v > av"
        + "; ta > head; tv > head; av > head; head > z",
        {"all utterances of a video": "x_t x_v ta av"},
    ),
    "tailor": Diagram(
        "A transformer reads each modality; what is private to it and what all have in "
        "common are set apart. Audio and vision, then text, then the common part are "
        "joined, and a decoder with a learned vector for each label reads the result.",
        {
            **_INPUTS,
            **_lanes("h", 1, "transformer"),
            **_lanes("p", 2, "private"),
            "c": (2, 3.1, "common", "shared"),
            "va": (3, 1.5, "audio,\nvision", "shared"),
            "vat": (4, 1.5, "+ text", "shared"),
            "all": (5, 1.5, "+ common", "shared"),
            "labels": (6, 0.2, "label\nvectors", "label"),
            "dec": (6, 1.5, "label\ndecoder", "label"),
            "z": (7, 1.5, "logits", "label"),
            "d": (4, 4, "which modality?\n(reversed gradient)", "shared~"),
        },
        _each("{m} > h_{m} > p_{m}; h_{m} > c")
        + "; p_a > va; p_v > va; va > vat; p_t > vat; vat > all; c > all > dec > z"
        + "; labels > dec; c ~> d",
    ),
    "cmdm": Diagram(
        "An encoder turns each modality into a latent vector, from which a decoder must "
        "make it again. The distributions of audio and of each other modality are "
        "matched, also where utterances have no labels; a classifier reads all three.",
        {
            **{"t": (0, 0, "text", "text"), "a": (0, 2, "audio", "audio")},
            "v": (0, 4, "vision", "vision"),
            **_lanes("e", 1, "encoder", 2),
            **_lanes("z", 2, "latent vector", 2),
            "d_t": (1, 0.85, "decoder", "text~"),
            "d_a": (1, 2.85, "decoder", "audio~"),
            "d_v": (1, 4.85, "decoder", "vision~"),
            "m_t": (3, 1, "match\ndistributions", "shared~"),
            "m_v": (3, 3, "match\ndistributions", "shared~"),
            "cls": (4, 2, "classifier", "shared"),
            "y": (5, 2, "logits", "label"),
        },
        _each("{m} > e_{m} > z_{m} > cls; z_{m} ~> d_{m}")
        + "; z_t ~> m_t; z_a ~> m_t; z_a ~> m_v; z_v ~> m_v; cls > y",
    ),
    "emobed": Diagram(
        "An encoder a modality gives embeddings that one head reads, whichever modality "
        "they come from. In training embeddings of the same emotion are drawn together "
        "across modalities; one modality is enough to predict.",
        {
            "t": (0, 0, "text", "text"),
            "a": (0, 1.2, "audio", "audio"),
            "v": (0, 2.4, "vision", "vision"),
            **_lanes("e", 1, "encoder,\nembedding", 1.2),
            "head": (3, 1.2, "one head\nfor all", "shared"),
            "z": (4, 1.2, "logits", "label"),
            "near": (2, 3.4, "same emotion: near,\nanother: far", "shared~"),
        },
        _each("{m} > e_{m} > head; e_{m} ~> near") + "; head > z",
    ),
}


def draw(folder: Path) -> None:
    """All of them, as ``system_<page>.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    for page, diagram in DIAGRAMS.items():
        # Without a date, so that the same picture is the same file.
        metadata = {"Date": None, "Title": diagram.alt}
        diagram.draw().savefig(folder / f"system_{page}.svg", metadata=metadata)
