"""Seeded storms of faults over the router's own core, token by token, and what holds in them."""
