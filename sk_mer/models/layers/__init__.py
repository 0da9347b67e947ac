"""Layers that several published systems share."""
