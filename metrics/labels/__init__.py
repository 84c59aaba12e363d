"""The evaluator: a segmenter trained on real images, and what it says of labels."""
