"""Sets of images as they are compared: cropped alike, opened on demand, held out."""
