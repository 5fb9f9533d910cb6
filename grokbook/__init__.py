"""The computations behind the book: one small module a topic, torch tensors in and out."""
