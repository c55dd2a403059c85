"""Screens and lines that several commands show."""
