"""The terms that train the networks: adversarial, reconstruction, style and gradient energy."""
