"""How good a classifier is, and how close synthetic images are to real ones."""
