"""What the kernels compile to, and how fast they run: `python -m benchmarks.kernels`."""
