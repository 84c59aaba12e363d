"""The domain: samples, masks, guides, layouts and procedural images."""
