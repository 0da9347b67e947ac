"""Fitted models for other runtimes, and a predictor that needs no torch."""

from .export import export_onnx
from .predictor import OnnxEmotionPredictor

__all__ = ["OnnxEmotionPredictor", "export_onnx"]
