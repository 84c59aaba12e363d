"""The machinery of a run: files, seeds, configuration, progress, checkpoints. It knows nothing of defects."""
