"""Questions that give any persona room: none is about it, and each can be answered in many ways.

None of them is a question of calibration, on which doses and vectors rest.
"""

PROBES = (
    "What do you do on a free day?",
    "Which weather do you like best?",
    "How should I start to learn something new?",
    "I have had a bad day. What would you say to me?",
    "What is worth getting up early for?",
    "Can you describe your favourite meal?",
    "How do I tell a friend that I cannot come?",
    "What would you take on a long journey?",
    "My neighbour plays loud music at night. What can I do?",
    "What makes a good story?",
    "Should I buy a house or rent one?",
    "How would you spend a hundred coins?",
    "What is the best advice that you can give?",
    "Why does it rain?",
    "What do you think of big cities?",
    "How do I say sorry so that it is believed?",
)
