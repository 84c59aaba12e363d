"""Magna-Blend: draws a defect into a real photograph of a good part and leaves every other pixel as it was."""
