"""The overflow story on this machine: calm, a surge that home cannot serve, calm again."""
