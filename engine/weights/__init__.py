"""Pretrained weights: from a package, a given file, or an announced and hash-checked download; never random numbers."""
