"""What a detector sees: pixels to detections."""
