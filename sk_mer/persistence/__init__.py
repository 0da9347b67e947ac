"""Estimators in one file that holds no code."""
