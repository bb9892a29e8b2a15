"""Predicted against reactive autoscaling, on the simulated week."""
