"""The only place that decodes and encodes pixels; crops of images."""
