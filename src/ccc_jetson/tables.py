"""Aligned text for people: tables, and facts with a name before each."""

from typing import Collection, Sequence, Tuple


def aligned_table(rows: Sequence[Sequence[str]], left: Collection[int]) -> str:
    """Rows of as many cells each as lines; the columns in ``left`` are text, all others numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def aligned_facts(facts: Sequence[Tuple[str, str]]) -> str:
    """(name, text) pairs, one a line."""
    width = max((len(name) for name, _ in facts), default=0)
    return "\n".join("{}  {}".format(name.ljust(width), value) for name, value in facts)
