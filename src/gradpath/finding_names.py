"""The names of what may be found, which the command line, loops and tests know."""

# What may be found. These names stay as they are: `ignore`, `check` and `fail_on` take them.
KINDS = (
    "vanishing",
    "exploding",
    "symmetry",
    "saturation",
    "correlation_collapse",
    "dead_units",
    "small_updates",
    "divergence",
    "flat_loss",
    "accumulated_gradients",
    "double_activation",
    "no_gradient",
    "no_update",
    "vanishing_in_time",
    "exploding_in_time",
)
