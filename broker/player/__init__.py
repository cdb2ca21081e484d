"""The player of scene clips: one ES module with its style, for the review page and the report."""
