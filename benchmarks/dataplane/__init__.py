"""What the middle of a stream costs: paced backends, middles and a load client in one run."""
