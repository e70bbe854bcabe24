"""Charts and codes as SVG, made on the server: no script draws them and each has a table beside it.

Colours come from classes of the style sheet, because the content security policy allows no styles in
the page. What a colour says is also said by a pattern of its own: order, label or figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import qrcode
from markupsafe import Markup, escape
from qrcode.constants import ERROR_CORRECT_M

_BAR, _GAP, _HEIGHT, _BASE, _LEFT = 34, 14, 150, 26, 30
_CELL, _ROW = 40, 26
_MARGIN = 4
# Any mask is as good to a reader, and trying all eight takes four times as long.
_MASK = 3
SHADES = 5
"""How many shades a heat strip has, beside empty."""


@dataclass(frozen=True)
class Series:
    """One row of figures, a figure for each column, under its name."""

    name: str
    figures: tuple[int, ...]

    @property
    def total(self) -> int:
        """The sum of the figures."""
        return sum(self.figures)


def bars(columns: Sequence[str], series: Sequence[Series], *, title: str) -> Markup:
    """Draw stacked bars: one a column, in it one part for each series, the first at the bottom."""
    totals = [sum(one.figures[n] for one in series) for n in range(len(columns))]
    most = max([*totals, 1])
    width = _LEFT + len(columns) * (_BAR + _GAP)
    parts = [_line(_LEFT, _HEIGHT, width), _text(_LEFT - 6, 16, str(most), "end")]
    for n, column in enumerate(columns):
        x, y = _LEFT + n * (_BAR + _GAP) + _GAP // 2, float(_HEIGHT)
        for shade, one in enumerate(series):
            height = one.figures[n] * (_HEIGHT - 18) / most
            y -= height
            if height:
                parts.append(_rect(x, y, _BAR, height, f"sen-fill-{shade}"))
        if totals[n]:
            parts.append(_text(x + _BAR / 2, y - 4, str(totals[n]), "middle"))
        parts.append(_text(x + _BAR / 2, _HEIGHT + 18, column, "middle"))
    return _svg(width, _HEIGHT + _BASE, title, parts)


def heat(columns: Sequence[str], series: Sequence[Series], *, title: str) -> Markup:
    """Draw a strip for each series: the more, the darker; the figure stands in its cell."""
    most = max((max(one.figures) for one in series), default=1) or 1
    label = 190
    width = label + len(columns) * _CELL
    parts = [
        _text(label + n * _CELL + _CELL / 2, 14, column, "middle")
        for n, column in enumerate(columns)
    ]
    for row, one in enumerate(series):
        y = 22 + row * _ROW
        parts.append(_text(0, y + 17, _short(one.name), "start"))
        for n, figure in enumerate(one.figures):
            shade = -(-figure * SHADES // most)
            parts.append(_rect(label + n * _CELL + 1, y, _CELL - 2, _ROW - 3, f"sen-heat-{shade}"))
            if figure:
                on_dark = " sen-on-dark" if shade > SHADES // 2 + 1 else ""
                x = label + n * _CELL + _CELL / 2
                parts.append(_text(x, y + 16, str(figure), "middle", f"sen-figure{on_dark}"))
    return _svg(width, 24 + len(series) * _ROW, title, parts)


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def _svg(width: float, height: float, title: str, parts: list[Markup]) -> Markup:
    inner = Markup("").join(parts)
    return Markup(
        '<svg class="sen-chart" role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" '
        'height="{}" focusable="false">{}</svg>'
    ).format(title, width, height, width, height, inner)


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup(
        '<rect class="{}" x="{:g}" y="{:.1f}" width="{:g}" height="{:.1f}" rx="3"/>'
    ).format(kind, x, y, width, height)


def _line(x: float, y: float, to: float) -> Markup:
    return Markup('<line class="sen-axis" x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}"/>').format(
        x, y, to, y
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "sen-label") -> Markup:
    return Markup('<text class="{}" x="{:g}" y="{:g}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, escape(text)
    )


def qr_code(text: str) -> dict[str, Any]:
    """Return the text as a QR code: the side's length in modules, and an SVG path of the dark ones."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=_MARGIN, mask_pattern=_MASK)
    code.add_data(text)
    code.make(fit=True)
    rows = code.get_matrix()
    runs: list[str] = []
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            width = 0
            while x + width < len(row) and row[x + width]:
                width += 1
            if width:
                runs.append(f"M{x} {y}h{width}v1h-{width}z")
            x += width + 1
    return {"side": len(rows), "path": "".join(runs)}
