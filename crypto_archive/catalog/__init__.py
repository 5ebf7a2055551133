"""What the archive can hold: keys, symbols, the matrix, and the layouts that store it.

It reads files, but never the archive or the root.
"""
