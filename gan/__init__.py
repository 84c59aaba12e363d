"""The generative networks: their parts, their training and generation."""
