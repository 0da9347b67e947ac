"""Frames of one modality brought to the steps of another, as MulT's public code does it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .head import full_precision
from .pooling import all_steps, valid_steps
from .sequence_lstm import SequenceLSTM

__all__ = ["AlignedSteps", "CTCAligner", "ctc_errors"]


class CTCAligner(nn.Module):
    """A soft alignment of frames with the steps of a target, learned by CTC.

    Two LSTM layers give each frame a probability for each target step and for a blank.
    An aligned step is the sum of all frames, weighted by their probabilities for it.

    Parameters
    ----------
    n_features : int
        Size of a frame.
    n_steps : int
        Steps of the longest target.

    References
    ----------
    Graves and others, "Connectionist temporal classification", ICML 2006.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.ctc import CTCAligner
    >>> aligned, log_proba = CTCAligner(4, 3)(torch.rand(2, 9, 4), torch.tensor([9, 5]))
    >>> aligned.shape, log_proba.shape
    (torch.Size([2, 3, 4]), torch.Size([2, 9, 4]))
    """

    def __init__(self, n_features: int, n_steps: int) -> None:
        super().__init__()
        size = n_steps + 1
        self.layers = nn.ModuleList(
            SequenceLSTM(n, size, bidirectional=False) for n in (n_features, size)
        )

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Align frames.

        Parameters
        ----------
        frames : Tensor of shape (n, n_frames, n_features)
            Right-padded.
        lengths : Tensor of shape (n,)
            Valid frames.

        Returns
        -------
        aligned : Tensor of shape (n, n_steps, n_features)
        log_proba : Tensor of shape (n, n_frames, n_steps + 1)
            Of the blank, and of each step, by frame.
        """
        scores = frames
        for layer in self.layers:
            scores = layer(scores, lengths)
        with full_precision(frames):
            log_proba = scores.log_softmax(dim=2)
            kept = frames * valid_steps(lengths, frames.shape[1])[:, :, None]
            aligned = log_proba[:, :, 1:].exp().transpose(1, 2) @ kept.float()
        return aligned, log_proba


def ctc_errors(log_proba: Tensor, lengths: Tensor, n_targets: Tensor) -> Tensor:
    """CTC loss of each row for the target ``1, 2, ... n_targets``, per target step.

    Parameters
    ----------
    log_proba : Tensor of shape (n, n_frames, n_steps + 1)
        The blank first.
    lengths : Tensor of shape (n,)
        Valid frames of each row: those before the alignment.
    n_targets : Tensor of shape (n,)
        Steps of each target, at least 1.

    Returns
    -------
    Tensor of shape (n,)
        0 for a row that has fewer frames than target steps: nothing can align them.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.ctc import ctc_errors
    >>> log_proba = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]]).log()
    >>> found = ctc_errors(log_proba, torch.tensor([2]), torch.tensor([1]))
    >>> round(float(found.neg().exp()), 4)  # three of four ways spell the target
    0.75
    """
    n_steps = log_proba.shape[2] - 1
    targets = torch.arange(1, n_steps + 1, device=lengths.device).expand(len(lengths), -1)
    counts = n_targets.clamp(max=n_steps)
    errors = functional.ctc_loss(
        log_proba.transpose(0, 1),
        targets,
        lengths,
        counts,
        reduction="none",
        zero_infinity=True,
    )
    return errors / counts


class AlignedSteps(nn.Module):
    """Equally many steps of all modalities, those of the first.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality.
    n_steps : int
        Steps of the longest utterance in the first modality.
    aligns : bool, default=False
        Whether the others are aligned with it; otherwise they are already.
    norm_eps : float or None, default=None
        Of a layer norm of each step; None for no norm.
    masked : bool, default=True
        Whether padded steps are left out; otherwise they are steps like others.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_steps: int,
        *,
        aligns: bool = False,
        norm_eps: float | None = None,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.names, self.n_steps, self.masked = tuple(n_features), n_steps, masked
        self.norms = nn.ModuleList(
            nn.Identity() if norm_eps is None else nn.LayerNorm(size, norm_eps)
            for size in n_features.values()
        )
        self.aligners = nn.ModuleList(
            CTCAligner(n_features[name], n_steps) for name in self.names[1:] if aligns
        )

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], list[Tensor], dict[str, Tensor]]:
        """Align a batch.

        Parameters
        ----------
        sequences, lengths : mapping of str to Tensor
            A batch, at least one step in each row of each modality.

        Returns
        -------
        steps : list of Tensor of shape (n, n_steps, n_features)
            By modality.
        valid : list of Tensor of bool of shape (n, n_steps)
            Which steps are no padding.
        errors : dict of str to Tensor of shape (n,)
            ``"alignment"``: of all aligners, in training where there are any.
        """
        lengths = lengths if self.masked else all_steps(sequences, lengths)
        steps = [
            norm(sequences[name]) for name, norm in zip(self.names, self.norms, strict=True)
        ]
        width, target = steps[0].shape[1], lengths[self.names[0]]
        valid = [valid_steps(target, width)] * len(steps)
        errors = []
        for k, aligner in enumerate(self.aligners, start=1):
            n_frames = lengths[self.names[k]]
            aligned, log_proba = aligner(steps[k], n_frames)
            # A target may be longer than all that were fitted.
            steps[k] = functional.pad(aligned, (0, 0, 0, width))[:, :width]
            valid[k] = valid_steps(target.clamp(max=self.n_steps), width)
            if self.training:
                errors.append(ctc_errors(log_proba, n_frames, target))
        return steps, valid, {"alignment": torch.stack(errors).sum(0)} if errors else {}
