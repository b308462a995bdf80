"""A policy for apflow that makes failed attempts again, and an executor that does so without a host."""
