"""What each face of a router costs it, per token."""
