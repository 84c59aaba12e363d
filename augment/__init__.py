"""Mixing real, synthetic, pasted and classically augmented images into a training set."""
