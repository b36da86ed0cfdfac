"""How do gradients travel through depth? A research template for PyTorch Lightning, Hydra and TensorBoard."""

from importlib.metadata import version

__version__ = version("gradpath")
