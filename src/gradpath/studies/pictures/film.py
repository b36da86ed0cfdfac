"""Films: animated GIFs, which browsers play and Markdown pages show."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gradpath.files import relative, write_atomically

# Milliseconds for which a picture is shown, and the last one before the film begins again.
EACH, LAST = 120, 2500
COLOURS = 64


def save_film(frames: Sequence[Figure], place: Path) -> None:
    """Writes the pictures as an animated GIF, whole or not at all, and prints its path. Raises OSError if it cannot."""
    pictures = [_drawn(frame) for frame in frames]
    durations = [EACH] * (len(pictures) - 1) + [LAST]
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        place,
        lambda file: pictures[0].save(
            file, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True
        ),
    )
    print(relative(place))


def _drawn(frame: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(frame)
    canvas.draw()  # type: ignore[no-untyped-call]
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    # Dithering would triple the size of the file.
    return picture.quantize(COLOURS, dither=Image.Dither.NONE)
