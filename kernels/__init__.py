"""Triton attention kernels, one folder per operation."""
