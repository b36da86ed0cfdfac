"""Train a network and watch its gradients travel: `python train.py activation=gelu optimizer=adam`; `--help` lists all."""

from gradpath.config.job import Job, Sweep
from gradpath.config.launch import launch, undisturbed


def main(job: Job) -> None:
    # Heavy imports wait until there is a run: --help and mistakes answer at once.
    with undisturbed():
        from gradpath.run.train import run_job

    run_job(job)


def sweep(jobs: Sweep) -> None:
    # The jobs have processes of their own, which import what they need.
    from gradpath.sweep.conduct import run_sweep

    run_sweep(jobs)


if __name__ == "__main__":
    launch(main, sweep)
