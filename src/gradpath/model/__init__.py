"""The network and everything that trains it: initialisation, objective, optimisers, schedules, the LightningModule."""
