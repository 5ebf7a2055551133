"""The command line: parse, run one job, render, exit with its code."""
