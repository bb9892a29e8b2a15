"""What to rent: the cheapest replicas that meet an objective, found in the simulator."""
