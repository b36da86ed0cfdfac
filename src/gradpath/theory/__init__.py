"""Mean-field theory of wide networks: what the gradient must do, as pure functions in float64."""
