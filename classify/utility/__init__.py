"""Does the synthetic data help here? Arms, trials, statistics, verdict and report of `bench-utility`."""
