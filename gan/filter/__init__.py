"""Generating more than is asked for, and keeping what a judge trained on real images lets pass."""
