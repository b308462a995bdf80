"""Draws a tree of apflow as text, Mermaid and SVG."""
