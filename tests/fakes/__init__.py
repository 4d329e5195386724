"""Stand-ins that make a whole study run in about a second."""
