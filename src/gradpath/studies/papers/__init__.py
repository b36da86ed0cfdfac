"""The published claims about gradients that this project stands on, each computed by the project's own code."""

COUNT = 20
# Take longer than all others together: training to depth 60, the edge of stability.
SLOW = (3, 15)
