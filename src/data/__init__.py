"""Data: real images, imbalance profiles, splits, and the balanced sets that real and synthetic images make."""
