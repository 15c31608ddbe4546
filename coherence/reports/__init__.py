"""Reports: views of one results document, which is all that they read."""
