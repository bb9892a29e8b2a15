"""Traces across the ends of the wire: W3C trace context, and the spans that each end reports."""
