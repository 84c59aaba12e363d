"""`check-data`, `gen-masks` and `gen-mpi`."""
