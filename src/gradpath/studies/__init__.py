"""Experiments with a checked conclusion."""
