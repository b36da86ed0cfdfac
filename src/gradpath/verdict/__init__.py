"""Reading what was measured: does the gradient vanish, explode or arrive, why, and what to change."""
