"""Loaders of the published long-tailed and group data sets, one file per family, each from its own on-disk format."""
