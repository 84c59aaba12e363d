"""The report of a comparison: the tree of results, and one HTML file that opens offline."""
