"""From a folder to training examples, and what may not be trained on."""
