"""The base model: loading it, its blocks and chat template, forward passes and generation."""
