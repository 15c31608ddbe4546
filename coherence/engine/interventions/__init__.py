"""What is done to a model while it runs: adapters, steering, patches and caps, and taps that read it."""
