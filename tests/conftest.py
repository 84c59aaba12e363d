"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import settings

# A slow machine is no failure: no test asserts a time.
settings.register_profile("magna", deadline=None)
settings.load_profile("magna")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs deaf to Ctrl-C, and children inherit that; the tests of Ctrl-C need ears.
    signal.signal(signal.SIGINT, signal.default_int_handler)
