"""Pure decisions: values in, values out; `now` (integer nanoseconds) and `rng` are arguments."""
