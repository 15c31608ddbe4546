"""Vega's drawings as a page wants them: half as long, and with a text in the place of the picture."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree as Xml

from markupsafe import Markup

_OF_NO_USE = {"role", "pointer-events", "version", "aria-hidden", "aria-roledescription", "font-family"}
_DEFAULTS = {("opacity", "1"), ("stroke-width", "1"), ("font-size", "11px"), ("transform", "translate(0,0)")}
_FONT = {"font-family": "system-ui, sans-serif", "font-size": "11"}
_FINE = re.compile(r"\d+\.\d{2,}")  # finer than a tenth of a pixel


def compacted(svg: str, said: str) -> Markup:
    """Leave out what draws nothing, and make the drawing an image that is `said` in words."""
    drawing = Xml.fromstring(svg)
    size = {name: drawing.attrib[name] for name in ("width", "height", "viewBox")}
    image = Xml.Element("svg", {**size, "role": "img", "aria-label": said, **_FONT})
    image.extend(_seen(drawing))
    return Markup(Xml.tostring(image, encoding="unicode"))


def _seen(drawing: Xml.Element) -> Iterator[Xml.Element]:
    """Yield what is seen of what is inside, with groups that change nothing dissolved."""
    for child in drawing:
        if _unseen(child):
            continue
        shape = Xml.Element(_tag(child), dict(_attributes(child)))
        shape.text = child.text
        shape.extend(_seen(child))
        if shape.tag == "g" and not shape.attrib:
            yield from shape
        else:
            yield shape


def _tag(element: Xml.Element) -> str:
    return element.tag.rpartition("}")[2]


def _unseen(element: Xml.Element) -> bool:
    # Every drawing is in a group that fills nothing.
    frame = element.get("class") in {"background", "foreground"}
    return frame and not element.get("fill") and not element.get("stroke")


def _attributes(element: Xml.Element) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        if name == "class":
            if kind := re.match(r"mark-(?:area|line|rule|rect)\b", value):
                yield name, kind[0]
        elif name not in _OF_NO_USE and (name, value) not in _DEFAULTS:
            yield name, _FINE.sub(lambda number: f"{float(number[0]):.1f}", value)
