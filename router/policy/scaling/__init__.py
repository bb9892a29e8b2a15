"""How many replicas each site should have: demand, its forecast, what a replica does, the want."""
