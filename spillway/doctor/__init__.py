"""Checks of a host and of a fleet: what is well, what is not, and what to do about it."""
