"""`vtalign data inspect`: what `inspect.html` shows of a build or of a folder of pairs."""
