"""What clients see while parts of a fleet die, hang, lie or are overrun: the failure matrix."""
