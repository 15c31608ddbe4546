"""The artefacts of a release: where they are, what they hold, and the store keys that follow from it."""
