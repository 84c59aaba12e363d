"""Training steps, the epoch, the loop and its start."""
