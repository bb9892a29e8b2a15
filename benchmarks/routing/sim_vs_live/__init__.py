"""Whether the simulator tells the truth: one workload, live and in virtual time."""
