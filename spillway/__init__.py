"""What a person touches: the command, the client, the fleet file, the embedded local fleet."""
