"""The guide: what it holds, how it is requested, and how each attribute is measured."""
