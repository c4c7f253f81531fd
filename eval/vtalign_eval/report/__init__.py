"""The pages of finished runs and comparisons: from files to the data that `vtalign.report` draws."""
