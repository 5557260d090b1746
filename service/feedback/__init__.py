"""What people say about answers, and what galleries learn from it."""
