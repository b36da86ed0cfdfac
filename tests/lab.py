"""A user's package with an activation that fails in ways that a test names, job by job."""

import json
from collections.abc import Mapping
from pathlib import Path

CODE = '''
import ctypes, json, os, signal, sys, time
from pathlib import Path

import torch


def job():
    """The folder of the job that this process trains; None before it trains."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit_and_test" and isinstance(frame.f_locals.get("folder"), Path):
            return frame.f_locals["folder"]
        frame = frame.f_back
    return None


def fail(how):
    if how == "exception":
        raise ValueError("the user's own mistake")
    if how == "lines":
        raise ValueError("\\n  two lines:\\n  " + 30 * "a long text " + "\\nand the last of them.")
    if how == "memory":
        raise MemoryError("no room for 10 TB")
    if how == "exit":
        sys.exit(0)
    if how == "leave":
        os._exit(0)
    if how.isdigit():
        os._exit(int(how))
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        time.sleep(3600)
    if how == "crash":
        ctypes.string_at(0)


class Fragile(torch.nn.Module):
    """tanh, but for the jobs that modes.json names."""

    def forward(self, inputs):
        folder = job()
        how = json.loads(Path(__file__).with_name("modes.json").read_text()).get(folder.name if folder else "")
        if how == "nan":
            return inputs * float("nan") if self.training and torch.is_grad_enabled() else torch.tanh(inputs)
        if how and self.training and torch.is_grad_enabled():
            fail(how)
        return torch.tanh(inputs)
'''


def make_lab(place: Path, modes: Mapping[str, str]) -> dict[str, str]:
    """Writes the package and an option `activation=fragile` into `place`. Returns the environment variables to use it with.

    Args:
        modes: the name of a job's folder -> how the job fails.
    """
    (place / "mylab").mkdir(parents=True)
    (place / "mylab/__init__.py").write_text("")
    (place / "mylab/fragile.py").write_text(CODE)
    (place / "mylab/modes.json").write_text(json.dumps(modes))
    (place / "options/activation").mkdir(parents=True)
    (place / "options/activation/fragile.yaml").write_text("_target_: mylab.fragile.Fragile\n")
    return {"GRADPATH_PACKAGES": "mylab"}
