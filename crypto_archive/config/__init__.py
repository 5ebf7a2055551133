"""What a user wants: presets, environment and options, read, checked and merged into one run configuration.

Everything that is wrong is reported at once, each problem with its place, the allowed values, and the nearest of them.
"""
