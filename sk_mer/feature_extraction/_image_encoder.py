"""Frozen models of images: CLIP, SigLIP, DINOv2 and other vision transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._encoders import Encoder, Frames, Size, transformers_package, wrong_kind
from ._stitch import Piece

__all__ = ["ImageEncoder"]


class ImageEncoder(Encoder):
    """Models of images: CLIP, SigLIP, DINOv2 and other vision transformers."""

    @classmethod
    def _size(cls, config: Any, name: str) -> Size:
        vision = getattr(config, "vision_config", config)
        if not hasattr(vision, "patch_size") or not hasattr(vision, "hidden_size"):
            raise wrong_kind(name, config, "CLIP, SigLIP, DINOv2 or a vision transformer")
        return Size(vision.hidden_size, vision.num_hidden_layers, None)

    def _part(self, model: Any) -> Any:
        return getattr(model, "vision_model", model)

    def _preparation(self, folder: Path, config: Any) -> Any:
        return transformers_package().AutoImageProcessor.from_pretrained(
            folder, local_files_only=True
        )

    def _prepare_cuts(self) -> None:
        self._longest = 1  # images do not meet

    def _n_frames(self, content: Sequence[Any]) -> int:
        return len(content)

    def _cut(self, content: Sequence[Any], piece: Piece) -> Any:
        return content[piece.start]

    def _frames(self, cuts: Sequence[Any]) -> list[Frames]:
        pixels = self._network.prepare(images=list(cuts), return_tensors="pt")
        values = pixels["pixel_values"]
        states = self._mean_of_layers(self._run(pixel_values=values))
        patch = self._network.module.config.patch_size
        n_patches = (values.shape[-1] // patch) * (values.shape[-2] // patch)
        # Tokens of the class and registers come before those of the patches.
        first = max(0, states.shape[1] - n_patches)
        means = states[:, first:].mean(dim=1).cpu().numpy()
        return [row[None] for row in means]
