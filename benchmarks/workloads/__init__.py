"""What is asked of a fleet, and when: the same plans feed live runs and simulated ones."""
