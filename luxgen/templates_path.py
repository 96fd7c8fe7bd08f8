"""Where the templates are: in the wheel's package, or in the checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def template_dir() -> Path:
    """The folder that holds `numpy/`, one folder of templates for each target."""
    places = (_PACKAGE / "_templates", _PACKAGE.parent / "templates")
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"luxgen's templates are missing: none of {places}")
