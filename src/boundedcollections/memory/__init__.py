"""The memory of the whole process: one budget for all collections, and what keeps watch over it."""
