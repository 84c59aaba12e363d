"""From a folder of images and masks to training batches."""
