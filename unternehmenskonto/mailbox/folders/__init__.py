"""Where messages lie: archive and bin, acts on many at once with undo, and the final deletion."""
