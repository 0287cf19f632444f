"""What work costs: whose account pays for what, what was spent, and what there is to spend."""
