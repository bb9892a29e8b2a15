"""A site's life: looked at before it is let in, added to the fleet file, drained and left."""
