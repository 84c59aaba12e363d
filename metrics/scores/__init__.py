"""Scores of a set of synthetic images against real ones, as pure functions of their features."""
