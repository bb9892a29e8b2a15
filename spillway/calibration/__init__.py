"""How much load something keeps an objective under, and how its times grow with it."""
