"""The effects model: what an item of the pool does at a node for a task, learned from single outcomes."""
