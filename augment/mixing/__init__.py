"""Which real, synthetic and pasted images train together, how often, and the folder they are written to."""
