"""Separatrix."""
