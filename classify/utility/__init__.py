"""Does the synthetic data help here? Arms, cells, statistics, verdict and report of `bench-utility`."""
