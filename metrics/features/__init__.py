"""What networks see in images: Inception, EfficientNet-Lite0 or an exported network, cached by content."""
