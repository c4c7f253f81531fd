"""Pairs to and from the files of other trainers: `vtalign data export` and `vtalign data import`."""
