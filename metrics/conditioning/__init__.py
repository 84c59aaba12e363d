"""Whether a generator follows its guide, and how much its noise changes."""
