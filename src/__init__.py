"""The method's library; stages in `stages/` call it, and nothing in here reads configuration."""
