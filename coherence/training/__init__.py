"""Making an adapter: the replies of a prompted persona, and a LoRA that learns them without it."""
