"""A mixed set in the formats that other programs read."""
