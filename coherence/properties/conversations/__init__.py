"""Conversations: drift, basins, caps, and what the KV cache holds of a persona."""
