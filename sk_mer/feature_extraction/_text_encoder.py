"""Frozen models of text, tokens that frame a sentence left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._encoders import Encoder, Frames, Size, quiet, transformers_package, wrong_kind
from ._stitch import Piece, pieces_of

__all__ = ["TextEncoder", "sentence_pooling"]


class TextEncoder(Encoder):
    """Models of text, tokens that frame a sentence left out."""

    _CONTEXT = 0.25

    @classmethod
    def _size(cls, config: Any, name: str) -> Size:
        width = getattr(config, "hidden_size", None) or getattr(config, "d_model", None)
        layers = getattr(config, "num_hidden_layers", None)
        if not width or not layers or not getattr(config, "vocab_size", 0):
            raise wrong_kind(name, config, "a model of text, such as BERT or RoBERTa")
        return Size(int(width), int(layers), None)

    def _part(self, model: Any) -> Any:
        return model.encoder if model.config.is_encoder_decoder else model

    def _preparation(self, folder: Path, config: Any) -> Any:
        return transformers_package().AutoTokenizer.from_pretrained(
            folder, local_files_only=True
        )

    def _prepare_cuts(self) -> None:
        config, tokenizer = self._network.module.config, self._network.prepare
        pad = tokenizer.pad_token_id
        self._pad = 0 if pad is None else pad
        framed, inside = self._tokens("a")
        at = int(np.argmax(inside)) if inside.any() else len(framed)
        after = len(framed) - int(inside.sum()) - at
        self._before, self._after = framed[:at], framed[len(framed) - after :]
        most = getattr(config, "max_position_embeddings", None) or 1 << 30
        # RoBERTa counts positions from behind the number of its padding.
        most -= self._pad + 1 if self._pad < 4 else 0
        most = min(most, tokenizer.model_max_length)
        self._longest = int(most) - len(self._before) - len(self._after)

    def _tokens(self, text: str) -> tuple[list[int], NDArray[np.bool_]]:
        with quiet():  # a note on long texts, which are read in pieces
            found = self._network.prepare(text, return_special_tokens_mask=True)
        return found["input_ids"], np.asarray(found["special_tokens_mask"]) == 0

    def _read(self, content: Any) -> list[int]:
        numbers, inside = self._tokens(content)
        return [n for n, own in zip(numbers, inside, strict=True) if own]

    def _n_frames(self, content: list[int]) -> int:
        return len(content)

    def _cut(self, content: list[int], piece: Piece) -> list[int]:
        return [*self._before, *content[piece.start : piece.stop], *self._after]

    def _frames(self, cuts: Sequence[list[int]]) -> list[Frames]:
        states = self._mean_of_layers(self._states(cuts)).cpu().numpy()
        first, last = len(self._before), len(self._after)
        return [s[first : len(cut) - last] for s, cut in zip(states, cuts, strict=True)]

    def encode(
        self,
        contents: Sequence[Any],
        *,
        rate: float | None = None,
        pooling: str | None = None,
    ) -> list[Frames]:
        """Steps of texts.

        Parameters
        ----------
        contents : sequence of str
            The texts.
        rate : None
            Texts have no time.
        pooling : {None, "mean", "sentence"}, default=None
            All tokens, their mean, or what the makers of a sentence encoder take; of a
            text in several pieces the mean of that.

        Returns
        -------
        list of ndarray of shape (n_steps, n_features)
        """
        if pooling != "sentence":
            return super().encode(contents, pooling=pooling)
        how = sentence_pooling(self._folder, str(self._folder))
        means = []
        for content in contents:
            numbers = self._read(content)
            pieces = pieces_of(0, len(numbers), self._longest, 0)
            cuts = [self._cut(numbers, piece) for piece in pieces if piece.stop]
            vectors = [
                v
                for k in range(0, len(cuts), self._batch_size)
                for v in self._sentence_vectors(cuts[k : k + self._batch_size], how)
            ]
            mean = np.mean(vectors, axis=0) if vectors else np.zeros(0)
            if how.normalize and len(mean):
                mean = mean / max(float(np.linalg.norm(mean)), 1e-12)
            means.append(mean.astype(np.float32).reshape(-1, self._width()))
        return means

    def _sentence_vectors(self, cuts: Sequence[list[int]], how: Any) -> list[Frames]:
        with self._torch.inference_mode():
            states = self._states(cuts).hidden_states[-1].float().cpu().numpy()
        pairs = zip(states, map(len, cuts), strict=True)
        return [s[0] if how.first else s[:n].mean(axis=0) for s, n in pairs]

    def _states(self, cuts: Sequence[list[int]]) -> Any:
        torch, longest = self._torch, max(map(len, cuts))
        numbers = torch.full((len(cuts), longest), self._pad)
        mask = torch.zeros_like(numbers)
        for row, cut in enumerate(cuts):
            numbers[row, : len(cut)] = torch.tensor(cut)
            mask[row, : len(cut)] = 1
        return self._run(input_ids=numbers, attention_mask=mask)


class _SentencePooling(NamedTuple):
    """How a sentence encoder makes one vector: of the first token or the mean of all."""

    first: bool
    normalize: bool


def sentence_pooling(folder: Path, name: str) -> _SentencePooling:
    """What a folder of sentence-transformers says about its pooling.

    Parameters
    ----------
    folder : Path
        Of the checkpoint.
    name : str
        For messages.

    Returns
    -------
    _SentencePooling

    Raises
    ------
    ValueError
        If it says nothing, or something else than the first token or the mean of all.
    """
    modules = folder / "modules.json"
    if not modules.is_file():
        raise ValueError(
            f"pooling='sentence' reads how a sentence encoder pools, but {name!r} has no "
            "modules.json, so it is none; set pooling='mean'."
        )
    first, normalize, found = False, False, False
    for module in json.loads(modules.read_text(encoding="utf-8")):
        kind = str(module["type"]).rpartition(".")[2]
        if kind == "Pooling":
            about = json.loads((folder / module["path"] / "config.json").read_text("utf-8"))
            modes = {k.removeprefix("pooling_mode_") for k, v in about.items() if v is True}
            modes |= {str(about["pooling_mode"])} if "pooling_mode" in about else set()
            modes = {m.removesuffix("_token").removesuffix("_tokens") for m in modes}
            modes -= {"include_prompt"}
            first, found = modes == {"cls"}, modes in ({"cls"}, {"mean"})
        normalize |= kind == "Normalize"
        if kind not in ("Transformer", "Pooling", "Normalize"):
            found = False
            break
    if not found:
        raise ValueError(
            f"pooling='sentence' takes the first token or the mean of all, and {name!r} "
            "does something else; set pooling='mean'."
        )
    return _SentencePooling(first, normalize)
