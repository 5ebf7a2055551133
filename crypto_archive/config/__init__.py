"""What a user wants: presets, environment and options, read, checked and merged into one run configuration.

All problems are reported together, each with its place, the allowed values, and the nearest of them.
"""
