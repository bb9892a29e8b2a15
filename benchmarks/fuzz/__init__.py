"""Input of any kind to every parser that meets the network: `python -m benchmarks.fuzz`.

A target takes bytes, gives them to one parser as the network would, and returns, whatever they are:
the refusals that the parser promises are caught in it, and anything else is a find.
"""
