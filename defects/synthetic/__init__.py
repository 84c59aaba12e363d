"""Procedural masks and procedural magnetic-particle images."""
