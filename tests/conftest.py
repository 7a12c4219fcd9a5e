"""What more than one room of tests stands on."""

import numpy as np
import pytest


@pytest.fixture
def pictures(tmp_path):
    """A folder of two classes, with a file that is no picture."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is an extra")
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(5):
            pixels = rng.integers(0, 255, (9 + i, 12, 3)).astype("uint8")
            image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    return tmp_path
