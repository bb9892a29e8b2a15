"""What attempts cost, kept where a crash does not take it: docs/cost.md."""
