"""From scores of trials to a verdict."""
