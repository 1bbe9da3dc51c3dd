"""What a compiled program is worth in tasks that it was not compiled for."""
