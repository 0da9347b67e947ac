"""Words shifted by what is heard and seen while they are said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...validation import check_names, resolve_by_modality
from .head import dropout
from .recurrent import LastStepBiLSTM

__all__ = ["FrameEncoder", "FramesEncoder", "NonverbalShift", "shifted"]

# A shift shorter than this is divided by this: neither it nor its gradient overflows.
_SHORTEST = 1e-6


class FrameEncoder(nn.Module):
    """One frame a word: dropout, a linear layer, one step of an LSTM.

    Parameters
    ----------
    n_features : int
        Of a frame.
    hidden_size : int
        Of both layers.
    normalized : bool, default=False
        Whether the features of each frame are normalized first.
    dropout : float, default=0.0
        Of the frame.

    Notes
    -----
    From a state of zeros an LSTM has nothing to forget and no state to read, so that
    three gates of the frame are all there is of it.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.variation import FrameEncoder
    >>> FrameEncoder(4, 3)(torch.ones(2, 5, 4)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        normalized: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_features) if normalized else nn.Identity()
        self.enter = nn.Linear(n_features, hidden_size)
        self.gates = nn.Linear(hidden_size, 3 * hidden_size)
        self.dropout = dropout

    def forward(self, frames: Tensor) -> Tensor:
        """``(..., n_features)`` into ``(..., hidden_size)``."""
        frames = dropout(self.norm(frames), self.dropout, self.training)
        enter, candidate, leave = self.gates(self.enter(frames)).chunk(3, dim=-1)
        state: Tensor = leave.sigmoid() * (enter.sigmoid() * candidate.tanh()).tanh()
        return state


class FramesEncoder(nn.Module):
    """A sequence of frames a word: dropout, a linear layer, an LSTM over the frames.

    It is read at the last frame that is not all zeros.

    Parameters
    ----------
    n_features : int
        Of a frame.
    n_frames : int
        Frames side by side in each step.
    hidden_size, normalized, dropout
        As in :class:`FrameEncoder`.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.variation import FramesEncoder
    >>> FramesEncoder(4, 20, 3)(torch.ones(2, 5, 80)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self,
        n_features: int,
        n_frames: int,
        hidden_size: int,
        normalized: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_frames, self.dropout = n_frames, dropout
        self.norm = nn.LayerNorm(n_features) if normalized else nn.Identity()
        self.enter = nn.Linear(n_features, hidden_size)
        self.lstm = LastStepBiLSTM(hidden_size, hidden_size, bidirectional=False)

    def forward(self, frames: Tensor) -> Tensor:
        """``(n, n_words, n_frames * n_features)`` into ``(n, n_words, hidden_size)``."""
        n, n_words, size = frames.shape
        by_word = frames.reshape(n * n_words, self.n_frames, size // self.n_frames)
        there = (by_word != 0).any(dim=2)
        order = torch.arange(1, self.n_frames + 1, device=frames.device)
        counts = (there * order).amax(dim=1)
        inputs = self.enter(dropout(self.norm(by_word), self.dropout, self.training))
        states: Tensor = self.lstm(inputs, counts)
        return states.view(n, n_words, -1)


class NonverbalShift(nn.Module):
    """What is added to each word: gated states of its frames, joined by a linear layer.

    Parameters
    ----------
    n_words : int
        Features of a word.
    n_features : mapping of str to int
        Feature size by modality, without the words.
    hidden_size : int
        Of the state of each frame.
    gate_activation : {"sigmoid", None}, default="sigmoid"
        Of the gates, one number a frame.
    normalized : sequence of str, default=()
        Modalities whose frames are normalized.
    dropout : float, default=0.0
        Of frames.
    frames_per_word : int or mapping of str to int, default=1
        Frames side by side in each step; 1 in modalities that are not named.

    Raises
    ------
    ValueError
        If features cannot be divided into so many frames, or other modalities are named.
    """

    def __init__(
        self,
        n_words: int,
        n_features: Mapping[str, int],
        hidden_size: int,
        gate_activation: str | None = "sigmoid",
        normalized: Sequence[str] = (),
        dropout: float = 0.0,
        frames_per_word: int | Mapping[str, int] = 1,
    ) -> None:
        super().__init__()
        self.names = tuple(n_features)
        check_names("frames_per_word", frames_per_word, self.names)
        counts = resolve_by_modality("frames_per_word", frames_per_word, self.names, 1)
        self.encoders = nn.ModuleList(
            _encoder(name, size, counts[name], hidden_size, name in normalized, dropout)
            for name, size in n_features.items()
        )
        self.gates = nn.ModuleList(nn.Linear(hidden_size + n_words, 1) for _ in self.names)
        self.activation = nn.Sigmoid() if gate_activation else nn.Identity()
        self.hidden_size = hidden_size
        self.shift = nn.Linear(hidden_size * len(self.names), n_words)

    def forward(self, words: Tensor, sequences: Mapping[str, Tensor]) -> Tensor:
        """The shift of each word.

        Parameters
        ----------
        words : Tensor of shape (n, n_steps, n_words)
            Right-padded.
        sequences : mapping of str to Tensor of shape (n, up to n_steps, n_features)
            The frames of each word, side by side where it has several. What is all zeros,
            or beyond the steps, is none.

        Returns
        -------
        Tensor of shape (n, n_steps, n_words)
            Zero where a word has no frame at all.
        """
        states, there = [], []
        for name, encoder, gate in zip(self.names, self.encoders, self.gates, strict=True):
            if name not in sequences:
                states.append(words.new_zeros(*words.shape[:2], self.hidden_size))
                continue
            steps = sequences[name][:, : words.shape[1]]
            frames = functional.pad(steps, (0, 0, 0, words.shape[1] - steps.shape[1]))
            there.append((frames != 0).any(dim=2, keepdim=True))
            state = encoder(frames)
            weight = self.activation(gate(torch.cat([state, words], dim=2)))
            states.append(weight * state * there[-1])
        if not there:
            return torch.zeros_like(words)
        shift: Tensor = self.shift(torch.cat(states, dim=2))
        return shift * torch.stack(there).any(dim=0)


def _encoder(
    name: str, size: int, n_frames: int, hidden_size: int, *settings: Any
) -> nn.Module:
    """Of one frame a word, or of several."""
    if n_frames == 1:
        return FrameEncoder(size, hidden_size, *settings)
    if size % n_frames:
        raise ValueError(
            f"frames_per_word is {n_frames} for {name!r}, which has {size} features, no "
            "multiple of it; pack its frames with sk_mer.feature_extraction.frames_by_word "
            "and the same frames_per_word."
        )
    return FramesEncoder(size // n_frames, n_frames, hidden_size, *settings)


def shifted(words: Tensor, shift: Tensor, scaling: str, limit: float) -> Tensor:
    """Words and their shifts, which must not drown them.

    Parameters
    ----------
    words, shift : Tensor of shape (..., n_words)
        To be added.
    scaling : {"relative", "norm_cap"}
        ``"relative"``: a shift longer than `limit` times its word is shortened to that.
        ``"norm_cap"``: a shift is cut to length 1 and then multiplied by `limit` times
        the length of its word.
    limit : float
        Longest shift, as a share of the length of the word.

    Returns
    -------
    Tensor of shape (..., n_words)

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.variation import shifted
    >>> word, shift = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 2.0])
    >>> [shifted(word, shift, how, 0.1)[1].item() for how in ("relative", "norm_cap")]
    [4.5, 4.5]
    >>> word, shift = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 0.5])
    >>> [shifted(word, shift, how, 0.1)[1].item() for how in ("relative", "norm_cap")]
    [4.5, 4.25]
    """
    shift = shift.to(words.dtype)  # autocast may have made it bfloat16
    length = torch.linalg.vector_norm(words, dim=-1, keepdim=True)
    own = torch.linalg.vector_norm(shift, dim=-1, keepdim=True)
    if scaling == "norm_cap":
        share: Tensor = limit * length / own.clamp(min=1.0)
    else:
        share = (limit * length / own.clamp(min=_SHORTEST)).clamp(max=1.0)
    return words + share * shift
