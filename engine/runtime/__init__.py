"""Device, precision, determinism, threads and the bounded cache."""
