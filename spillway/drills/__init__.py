"""Disaster drills: a named fault is done to a fleet, and a report says what its clients saw."""
