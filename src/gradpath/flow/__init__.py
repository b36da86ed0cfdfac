"""Measuring: what the gradient did, layer by layer."""
