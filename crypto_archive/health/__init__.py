"""Whether everything is there that a run needs: looked at piece by piece, with what to do about what is not."""
