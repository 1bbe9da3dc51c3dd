"""What a compile's result depends on: temperature, number of tasks, and the parts of the effects model."""
