"""What networks see in images: Inception, EfficientNet-Lite0 or any exported network, cached by content."""
