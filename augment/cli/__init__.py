"""`mix-defects` and its subcommands."""
