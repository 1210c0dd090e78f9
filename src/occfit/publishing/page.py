"""What the HTML pages share: the template environment, the style, pictures as data URIs."""

import base64
import io
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from occfit.fitting.pictures import Picture


def render_page(template: str, **values: Any) -> str:
    """A page from `publishing/templates`; every value is escaped unless the template calls it safe."""
    environment = Environment(
        loader=PackageLoader("occfit.publishing"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("occfit.publishing").joinpath("templates/style.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=style, **values)


def data_uri(picture: Picture) -> str:
    """The picture as a PNG inside the page."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
