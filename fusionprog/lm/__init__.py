"""Access to language models: the client, DSPy's models and formats, prices, and the offline reader."""
