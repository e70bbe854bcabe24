"""Make the fonts of printed documents from the vendored web fonts.

PDF wants one TrueType file a weight; the web fonts come as three WOFF2 subsets each. Needs fonttools and
brotli, in any environment but the product's: ``python deploy/frontend/print_fonts.py``.
"""

import io
from pathlib import Path

from fontTools.merge import Merger
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "idp/web/static/vendor/be-vietnam-pro-5.3.0"
TARGET = ROOT / "idp/web/fonts"
SUBSETS = ("latin", "latin-ext", "vietnamese")
WEIGHTS = {"400": "regular", "600": "semibold"}
# Kerning, ligatures and hints: the writer of the PDF knows none of them.
UNUSED = ("GSUB", "GPOS", "GDEF", "gasp", "fpgm", "prep", "cvt ", "STAT", "DSIG", "meta")


def plain(path: Path) -> io.BytesIO:
    """Return the web font as TrueType without what is not used."""
    font = TTFont(path)
    font.flavor = None
    for table in UNUSED:
        if table in font:
            del font[table]
    made = io.BytesIO()
    font.save(made)
    made.seek(0)
    return made


def main() -> None:
    """Write both weights."""
    TARGET.mkdir(exist_ok=True)
    for weight, name in WEIGHTS.items():
        parts = [plain(SOURCE / f"be-vietnam-pro-{s}-{weight}-normal.woff2") for s in SUBSETS]
        merged = Merger().merge(parts)
        merged["head"].created = merged["head"].modified = 0
        merged.recalcTimestamp = False
        merged.save(TARGET / f"be-vietnam-pro-{name}.ttf")
    licence = (SOURCE / "LICENSE.txt").read_text(encoding="utf-8")
    (TARGET / "LICENSE.txt").write_text(licence, encoding="utf-8")


main()
