"""Jobs that borrow home's GPUs, and what lending them costs."""
