"""Drive a live fleet with streaming clients and measure what they see."""
