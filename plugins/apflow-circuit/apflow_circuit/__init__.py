"""A circuit breaker as a policy for apflow."""
