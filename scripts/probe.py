"""Step 0 without training: how the gradient travels through the network that
these choices describe.

    python scripts/probe.py activation=sigmoid model=deep model.depth=30
    python scripts/probe.py -m activation=sigmoid,tanh,relu init=xavier_normal,critical model=deep

Takes what train.py takes. For each network, writes result.json (with profile
and verdict), config.yaml and flow.npz to a folder in logs/probes/.
"""

from functools import partial

from gradpath.config.job import Job
from gradpath.config.launch import launch, undisturbed


def main(job: Job) -> None:
    # Heavy imports wait until the command line has been checked.
    with undisturbed():
        from gradpath.run.train import run_job
        from gradpath.run.without_training import look

    run_job(job, partial(look, place=job.number, swept=job.swept))


if __name__ == "__main__":
    launch(main, logs="logs/probes", resumes=False)
