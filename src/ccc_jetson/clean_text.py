"""Text that came from a file of anyone, made fit for a terminal."""


def clean(text: str) -> str:
    """``text`` with a ``?`` for every character that steers a terminal or cannot be encoded."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
