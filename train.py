"""Train a network and watch its gradients travel: `python train.py activation=gelu optimizer=adam`; `--help` lists all."""

from omegaconf import DictConfig

from gradpath.config.launch import launch, undisturbed


def main(config: DictConfig) -> None:
    # Heavy imports wait until there is a run: --help and mistakes answer at once.
    with undisturbed():
        from gradpath.run.train import run_from_hydra

    run_from_hydra(config)


if __name__ == "__main__":
    launch(main)
