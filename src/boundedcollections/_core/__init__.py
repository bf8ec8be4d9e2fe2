"""Foundations: what every primitive stands on. Private; public names are re-exported above."""
