"""The artifact: a compiled program as one strict JSON file."""
