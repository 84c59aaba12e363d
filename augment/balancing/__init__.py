"""What is rare in a data set, and what to request of a generator against it."""
