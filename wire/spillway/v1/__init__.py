"""Version 1 of Spillway's own gRPC API."""
