"""What a user declares: signatures, modules, programs and their graphs, tasks and their data."""
