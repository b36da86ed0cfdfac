"""Reads a sweep's images once, in the process that its jobs are forked from, which imports this file before the first job.

The jobs share the memory. Data that are computed are computed again by each job: they may depend on its seed.
"""

import json
import os
from contextlib import suppress

import torch

from gradpath.errors import ConfigError
from gradpath.run.build import build_data

# The configuration of the data, as JSON.
VARIABLE = "GRADPATH_COMMON_DATA"


def read() -> None:
    """Reads the data that the environment names. A mistake is left to the jobs, which say what is wrong."""
    # A second thread of this process would not exist in a forked one, which would wait for it.
    torch.set_num_threads(1)
    with suppress(ConfigError):
        build_data(json.loads(os.environ[VARIABLE]), seed=0)


if VARIABLE in os.environ:
    read()
