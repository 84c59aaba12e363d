"""Files that are whole or absent, append-only logs, locks, hashes and safe names."""
