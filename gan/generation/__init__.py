"""From masks and a guide to a sample folder of images and labels."""
