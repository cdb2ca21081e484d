"""The review page: operators look at each event's drawing and confirm or reject it."""
