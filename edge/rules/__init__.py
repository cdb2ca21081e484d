"""Rules: pure functions of scenes and signal history that say what happened, or that nobody can tell."""
