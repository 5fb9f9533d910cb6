"""Checks of the exercises: one module a chapter, by its name; each check computes what an answer has to satisfy."""
