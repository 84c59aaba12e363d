"""The geometry of masks: width, connected components, outlines."""
