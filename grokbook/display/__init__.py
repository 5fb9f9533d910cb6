"""What is shown and never computed: claims, figures, explorables, progress."""
