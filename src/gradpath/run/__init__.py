"""The recipes (train a run, look at a network without training it, evaluate a run), and what a run leaves in its folder."""
