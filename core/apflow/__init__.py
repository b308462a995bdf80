"""A host for plugins that runs trees of tasks."""
