"""Ways to turn a node's mixture into prompts."""
