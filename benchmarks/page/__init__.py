"""Measures the fleet page in a browser."""
