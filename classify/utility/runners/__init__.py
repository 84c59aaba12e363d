"""How the trials of `bench-utility` are computed."""
