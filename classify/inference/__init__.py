"""Predicting, evaluating, explaining and exporting with a trained classifier."""
