"""Published routing policies, each from its formula with its source's defaults, to compare with."""
