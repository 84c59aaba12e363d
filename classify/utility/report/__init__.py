"""The table and the page of `bench-utility`."""
