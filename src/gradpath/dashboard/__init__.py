"""TensorBoard's tab "Gradient Flow": what `flow.npz` holds, as pictures of depth x step.

TensorBoard imports this module when it starts, and an ImportError here would stop it; all else is imported in `load`, whose
errors TensorBoard logs and survives.
"""

from typing import Any

from tensorboard.plugins import base_plugin


class Loader(base_plugin.TBLoader):  # type: ignore[misc]
    """The entry point `tensorboard_plugins`: makes the plugin, or raises into TensorBoard's log."""

    def load(self, context: base_plugin.TBContext) -> Any:
        from gradpath.dashboard.plugin import GradientFlowPlugin

        return GradientFlowPlugin(context)
