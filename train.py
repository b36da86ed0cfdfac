"""Train a network and watch its gradients travel: `python train.py activation=gelu optimizer=adam`; `--help` lists all."""

from gradpath.config.job import Job
from gradpath.config.launch import launch, undisturbed


def main(job: Job) -> None:
    # Heavy imports wait until there is a run: --help and mistakes answer at once.
    with undisturbed():
        from gradpath.run.train import run_job

    run_job(job)


if __name__ == "__main__":
    launch(main)
