"""Neutral questions of our own, for what belongs to the base and not to a suite: norms and extraction."""

from coherence.vocabulary import Probe

NEUTRAL = "You are a helpful assistant."

_QUESTIONS = (
    "What is the capital of France?",
    "How does a bicycle stay upright?",
    "Can you name three kinds of tree?",
    "What should I have for breakfast?",
    "How do I tie a tie?",
    "Why is the sky blue?",
    "What is a good name for a dog?",
    "How far away is the moon?",
    "Can you explain what a spreadsheet is?",
    "How do I remove a coffee stain?",
    "What does a librarian do?",
    "How do I cross a busy street safely?",
    "What is the difference between a lake and a pond?",
    "Where can I learn to swim?",
    "How long do I boil an egg?",
    "What makes bread rise?",
    "How do I book a train ticket?",
    "Why do leaves change colour?",
    "What can I do on a rainy afternoon?",
    "How do I greet a new neighbour?",
)

CALIBRATION = tuple(Probe(id=f"calibration-{index}", text=text) for index, text in enumerate(_QUESTIONS))
