"""The source's table: generators trained on the same images, compared on the same held-out masks."""
