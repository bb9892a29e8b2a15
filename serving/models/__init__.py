"""The built-in model: tiny, seeded, with checkable answers."""
