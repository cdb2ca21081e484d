"""Does the drawing suffice to judge? Staged claims, recorded by the real line, decided from clips alone."""
