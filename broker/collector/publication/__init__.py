"""What is published: confirmed findings about places, per fixed period, rounded, hidden where few."""
