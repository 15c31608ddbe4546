"""Other forms of a persona's artefacts, as servers and other programs take them: written, and read back here.

Each is written beside its place and moved there when it is whole.
"""
