"""Near-duplicates of held-out images, found though cropped, flipped, turned or compressed."""
