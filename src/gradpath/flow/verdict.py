"""Reading a profile: does the gradient vanish, explode, or arrive?"""

from typing import Any

import numpy as np

from gradpath.flow.profile import LayerFlow


def verdict(profile: list[LayerFlow]) -> dict[str, Any]:
    """What the profile says: `class`, `ratio` = |delta| first / last hidden layer, `rate_per_layer`, `findings`.

    `vanishing` below a ratio of 1e-2, `exploding` above 1e2, else `healthy`; null with fewer than two hidden layers.
    `rate_per_layer` is the factor of |delta| per layer towards the input, from a straight line through log |delta|.
    """
    delta = np.array([row.delta for row in profile[:-1]])
    if len(delta) < 2:
        return {"class": None, "ratio": None, "rate_per_layer": None, "findings": []}
    if not np.isfinite(delta).all():
        return {"class": "exploding", "ratio": None, "rate_per_layer": None, "findings": []}
    if not delta.all():
        return {"class": "vanishing", "ratio": 0.0, "rate_per_layer": None, "findings": []}
    ratio = float(delta[0] / delta[-1])
    slope = np.polyfit(np.arange(len(delta)), np.log(delta), 1)[0]
    kind = "vanishing" if ratio < 1e-2 else "exploding" if ratio > 1e2 else "healthy"
    return {"class": kind, "ratio": ratio, "rate_per_layer": float(np.exp(-slope)), "findings": []}
