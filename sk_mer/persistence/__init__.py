"""Estimators in one file that holds no code."""

from .model_file import load

__all__ = ["load"]
