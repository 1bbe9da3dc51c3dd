"""The database of everything that was measured."""
