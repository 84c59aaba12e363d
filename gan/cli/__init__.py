"""The commands `gen-defects` and `train-gan`, and the release of a bundled generator."""
