"""Prompt fragments, families and pools; task embeddings; and the schedule that turns them into mixtures."""
