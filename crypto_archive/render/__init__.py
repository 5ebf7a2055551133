"""How results and progress are shown to people: the only room that draws with Rich.

Rich is loaded when something is drawn with it: what needs it is imported by name where it is needed.
"""
