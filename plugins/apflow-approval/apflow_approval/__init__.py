"""Executors for apflow that ask a person, and that wait for an instant."""
