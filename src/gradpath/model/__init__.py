"""The network and all that trains it: initialisation, objective, optimisers, schedules, the LightningModule."""
