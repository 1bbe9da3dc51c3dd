"""The formats in which models answer, a file each; answers are read as DSPy's adapters read them."""
