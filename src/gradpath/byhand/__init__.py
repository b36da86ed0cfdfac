"""Backpropagation written out: no autograd."""
