"""Spillway's own gRPC API."""
