"""What happens in a router, as events; thin sinks make logs, metrics and percentiles of them."""
