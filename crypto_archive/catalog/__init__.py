"""What the archive can hold: keys, symbols, the matrix, and the layouts that store it. Pure."""
