"""Text in CSV files that spreadsheets do not take for a formula.

Excel, LibreOffice and Google Sheets run a cell that begins as a formula does, whoever wrote it: an id or a title from
outside could send what is on the sheet elsewhere (OWASP, "CSV Injection"). As recommended there, such a cell gets an
apostrophe in front, which spreadsheets show as text. It can be taken away again, with no doubt about what it was.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""The characters by which formulas begin, those of full width too; or a cell that has been escaped already."""


def escaped(text: str) -> str:
    """A cell of text as it stands in the file."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(cell: str) -> str:
    """What a cell of the file was: the inverse of `escaped`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
