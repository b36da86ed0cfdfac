"""Predicting: pure functions of numbers, in float64."""
