"""A mixed set in the forms that other programs read, written from its folder alone."""
