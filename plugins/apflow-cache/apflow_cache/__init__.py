"""A policy for apflow that reuses the results of equal tasks."""
