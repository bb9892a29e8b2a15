"""One frozen event type and thin sinks for metrics and the decision log."""
