"""What a site says of itself and how it answers, asked once and as a router would ask."""
