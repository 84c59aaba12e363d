"""Real defects cut out and pasted into good images, and Perlin-noise texture defects."""
