"""Defects generated inside images of good parts; every other pixel stays as it was."""
