"""The documents: what is generated in them, and the examples that they give."""
