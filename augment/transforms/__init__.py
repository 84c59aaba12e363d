"""Classical augmentations: sampled first, then applied by OpenCV or, in batches, by kornia."""
