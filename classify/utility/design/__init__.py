"""What `bench-utility` compares: arms, trials, splits and sources."""
