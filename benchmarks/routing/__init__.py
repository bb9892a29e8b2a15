"""What routing costs, and what it is worth."""
