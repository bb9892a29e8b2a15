"""The engines of one site on Ray Serve."""
