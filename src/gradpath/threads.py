"""How long torch's threads wait for each other before they give up the core. Imported before torch."""

import os

# Turns of the waiting loop of GNU OpenMP, torch's thread library on Linux. A thread whose partner is kept from running by
# another process would burn its share of the core in 300,000 turns, libgomp's own number: docs/performance.md.
TURNS = 3000
# If one of these is set, the user has chosen.
CHOSEN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "KMP_BLOCKTIME")


def wait_briefly() -> None:
    """Makes threads that wait go to sleep soon, so that a busy neighbour slows a run down little. Changes no result.

    It has to be called before torch is imported, and works for every process that this one starts. A user's own settings
    stay.
    """
    if not any(name in os.environ for name in CHOSEN):
        os.environ["GOMP_SPINCOUNT"] = str(TURNS)
