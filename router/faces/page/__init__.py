"""The fleet page: what an operator sees of the fleet, and may do to it, in a browser."""
