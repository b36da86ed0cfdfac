"""TensorBoard's tab "Gradient Flow", which shows the content of `flow.npz` as pictures over depth and step.

TensorBoard imports this module when it starts, and an ImportError here would stop it. Everything else is therefore imported
in `load`, whose errors TensorBoard logs and survives.
"""

from typing import Any

from tensorboard.plugins import base_plugin


class Loader(base_plugin.TBLoader):  # type: ignore[misc]
    """The entry point `tensorboard_plugins`, by which TensorBoard makes the plugin."""

    def load(self, context: base_plugin.TBContext) -> Any:
        from gradpath.dashboard.plugin import GradientFlowPlugin

        return GradientFlowPlugin(context)
