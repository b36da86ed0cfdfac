"""The recipes: train a run, look at one without training, evaluate one; and what they leave in its folder."""
