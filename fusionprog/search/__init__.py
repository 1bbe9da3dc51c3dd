"""What optimizers are made of: space, study, screening, confirmation, preflight and events."""
