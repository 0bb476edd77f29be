"""How well a model ranks what was held out, and how far that could be chance."""
