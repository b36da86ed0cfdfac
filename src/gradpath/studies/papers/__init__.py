"""The published claims about gradients that this project stands on, each computed by the project's own code.

One function computes each claim. Its docstring states the claim.
"""

COUNT = 20
# These two take longer than all others together: training to depth 60, and the edge of stability.
SLOW = (3, 15)
