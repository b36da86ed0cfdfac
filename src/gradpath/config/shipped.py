"""The targets of the option files that come with the project.

A list, because a user's own option files lie beside ours in `conf/`, and name targets of which we know nothing.
"""

_LAYERS = ("BatchNorm1d", "LayerNorm")
_LOSSES = ("BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "L1Loss", "MSELoss")
_OPTIMIZERS = ("Adagrad", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "SGD")
_DATA = ("gaussian.gaussian", "images.images", "sine.sine", "xor.xor", "xor.xor_noisy")
_SCHEDULES = ("constant", "cosine", "one_cycle", "step", "warmup_cosine")
_ACTIVATIONS = (
    "ELU", "GELU", "Hardtanh", "Identity", "LeakyReLU", "Mish", "ReLU", "SELU", "SiLU", "Sigmoid", "Softplus", "Tanh",
)  # fmt: skip
_INITS = (
    *("constant", "critical", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "lsuv", "normal", "orthogonal"),
    *("pytorch", "xavier_normal", "xavier_uniform", "zeros"),
)

TARGETS: dict[str, frozenset[str]] = {
    "data": frozenset(f"gradpath.data.{name}" for name in _DATA),
    "activation": frozenset(["torch.erf", *(f"torch.nn.{name}" for name in _ACTIVATIONS)]),
    "init": frozenset(f"gradpath.model.initialization.{name}" for name in _INITS),
    "norm": frozenset(f"torch.nn.{name}" for name in _LAYERS),
    "loss": frozenset(f"torch.nn.{name}" for name in _LOSSES),
    "optimizer": frozenset(["gradpath.model.optimizers.Muon", *(f"torch.optim.{name}" for name in _OPTIMIZERS)]),
    "schedule": frozenset(f"gradpath.model.schedules.{name}" for name in _SCHEDULES),
}
