"""The domain: images with masks, classes and groups, in any published folder layout; guides; procedural data.

>>> import defects
>>> data = defects.open("examples/masks", layout="folders")  # doctest: +SKIP
"""
