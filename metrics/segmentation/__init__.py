"""The small segmentation network that reads defects off images: network, training, store."""
