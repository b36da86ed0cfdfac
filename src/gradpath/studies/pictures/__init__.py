"""The pictures that the studies draw."""
