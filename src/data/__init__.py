"""Data: real images, imbalance profiles, splits, prompts and the plan of what to synthesise."""
