"""`bench-fid`: what is measured in which order, and what it writes."""
