"""Generators, discriminators and encoders, and the registry that builds them by architecture."""
