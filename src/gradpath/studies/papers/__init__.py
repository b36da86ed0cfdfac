"""The published claims about gradients that this project stands on, each computed by the project's own code."""
