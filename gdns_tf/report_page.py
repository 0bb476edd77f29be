"""Reports: a Markdown file and, beside it, the same as one HTML page."""

import base64
import html
import re
from pathlib import Path

from pipelines.atomic import write_text

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; margin-top: 2rem; }
img { max-width: 100%; height: auto; background: white; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #8885; text-align: left; vertical-align: top; }
th { border-bottom-width: 2px; }
tr:hover td { background: #8881; }
pre { overflow-x: auto; padding: .7rem; background: #8882; }
nav ul { padding-left: 1.2rem; }
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
_IMAGE = re.compile(r'(<img\b[^>]*\bsrc=")([^":]+\.png)(")')


def save_report(path: Path, text: str) -> None:
    """Writes a report and, beside it, its page: `report.md` and `report.html`.

    Args:
      path: of the Markdown file; the plots that it shows lie beside it, and are there already.
      text: the report, in Markdown.
    """
    write_text(path, text)
    write_text(path.with_suffix(".html"), page(text, path.parent))


def page(text: str, folder: Path) -> str:
    """A report as one HTML page that needs no other file, so that it can be mailed.

    Args:
      text: the report, in Markdown; its first line is its title.
      folder: where the images that it names lie; they become part of the page.

    Returns:
      The page.
    """
    from markdown import Markdown  # here, for what only trains needs it not

    title, _, rest = text.lstrip().removeprefix("# ").partition("\n")
    converter = Markdown(extensions=["tables", "fenced_code", "sane_lists", "toc"], output_format="html")
    headings = len(re.findall(r"^## ", rest, re.MULTILINE))
    contents = "[TOC]\n\n" if headings > 1 else ""
    body = f"<h1>{html.escape(title)}</h1>\n{converter.convert(contents + rest)}"
    body = body.replace('<div class="toc">', "<nav>", 1).replace("</div>", "</nav>", 1) if contents else body
    return _PAGE.format(title=html.escape(title), style=_STYLE, body=_IMAGE.sub(lambda m: _embedded(m, folder), body))


def _embedded(found: re.Match, folder: Path) -> str:
    before, name, after = found.groups()
    picture = base64.b64encode((folder / html.unescape(name)).read_bytes()).decode()
    return f"{before}data:image/png;base64,{picture}{after}"
