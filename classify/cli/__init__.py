"""`train-classifier` and `bench-utility`."""
