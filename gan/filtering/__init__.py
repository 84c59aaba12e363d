"""More candidates than are requested, and the scorer that decides which of them pass."""
