"""How do gradients travel through depth? Measured in any training loop, predicted by mean-field theory, explained.

Nothing is imported before it is asked for: `import gradpath` loads neither torch nor Lightning.
"""

from importlib import import_module

# As type checkers read it; typing itself would take a third of the time that `import gradpath` has.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from gradpath.run.saved import load_run as load_run
    from gradpath.sweep.loading import load_sweep as load_sweep
    from gradpath.theory.mean_field import mean_field as mean_field
    from gradpath.theory.prediction import predict as predict
    from gradpath.verdict.gradient_flow import GradientFlow as GradientFlow
    from gradpath.verdict.probing import probe as probe

__all__ = ["GradientFlow", "load_run", "load_sweep", "mean_field", "predict", "probe"]
HOMES = {
    "GradientFlow": "gradpath.verdict.gradient_flow",
    "load_run": "gradpath.run.saved",
    "load_sweep": "gradpath.sweep.loading",
    "mean_field": "gradpath.theory.mean_field",
    "predict": "gradpath.theory.prediction",
    "probe": "gradpath.verdict.probing",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("gradpath")
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'gradpath' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
