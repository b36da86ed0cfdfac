"""Plugins of Hydra: it looks into packages of this namespace that have such a file."""
