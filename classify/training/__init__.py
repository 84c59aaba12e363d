"""Training of a classifier: one batch, the epochs, the run folder, the search."""
