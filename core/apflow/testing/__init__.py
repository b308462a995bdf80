"""The test kit for plugin authors: contracts as classes to inherit from, and what they run on."""
