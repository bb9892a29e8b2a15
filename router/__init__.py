"""The latency-aware router: a pure policy, driven live or in simulation."""
