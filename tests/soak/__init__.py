"""A soak of the chain: node, broker and collector are killed and stopped at random; nothing may be lost."""
