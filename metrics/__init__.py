"""Measuring synthetic images: quality, control, labels, memorisation, and a report people can read."""
