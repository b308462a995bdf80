"""A policy for apflow that limits how many tasks run at once, and how many in a time."""
