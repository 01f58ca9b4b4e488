"""Tables that read well in a terminal, too. Standard library only: other measurements use it."""

from __future__ import annotations


def table(lines: list[list[str]]) -> str:
    """A Markdown table with aligned columns; the first line is the head."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)
