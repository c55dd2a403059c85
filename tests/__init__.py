"""The tests: unit, property, scenario, conformance, chaos (docs/testing.md)."""
