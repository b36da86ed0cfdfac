"""What the studies draw."""
