"""The report of `bench-fid`: one HTML file that opens offline."""
