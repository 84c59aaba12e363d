"""The folder of a run, and its resumption."""
