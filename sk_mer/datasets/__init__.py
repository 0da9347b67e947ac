"""Data to try things on."""

from ._generator import make_multimodal_emotions

__all__ = ["make_multimodal_emotions"]
