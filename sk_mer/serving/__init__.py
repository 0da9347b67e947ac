"""Fitted models for other runtimes, and a predictor that needs no torch."""

from .predictor import OnnxEmotionPredictor

__all__ = ["OnnxEmotionPredictor"]
