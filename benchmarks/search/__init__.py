"""Search at equal terms: one language model, the same data, fragments and number of calls for all sides."""
