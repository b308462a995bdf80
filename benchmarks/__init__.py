"""What a task costs: the engine beside the limit. `python -m benchmarks --help`."""
