"""Trains and runs a torch module; knows no estimator."""
