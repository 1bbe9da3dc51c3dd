"""Small foundations with no knowledge of programs, prompts or models."""
