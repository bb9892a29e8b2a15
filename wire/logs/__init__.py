"""What a process says in its log: one line for each thing, the same at every level."""
