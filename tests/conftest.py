"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no failure: no test asserts a time.
settings.register_profile("magna", deadline=None)
settings.load_profile("magna")
