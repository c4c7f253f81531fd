"""Pairs as rows of other trainers, and such rows as pairs: pure functions, one file per format; `formats` lists them."""
