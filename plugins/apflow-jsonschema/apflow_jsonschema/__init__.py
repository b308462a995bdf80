"""Holds the inputs and results of apflow tasks to their JSON Schemas."""
