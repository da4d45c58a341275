"""Data that the package does not bring: fetched or rendered once, into the user's cache."""

import contextlib
import importlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ndvq_tune.atomic import whole_folder
from ndvq_tune.data.cache.location import cache_root
from ndvq_tune.errors import UnavailableError

SPEECH_PACKAGE = "asterisk-core-sounds-en-wav"  # of Debian: 25 minutes of one speaker
LEVELS, FRAMES = 15, 400  # of Freedoom, which comes with ViZDoom
TURN_EVERY = 12  # frames between changes of direction


def speech() -> Path:
    """A folder of wav files, out of a Debian package.

    Raises:
        UnavailableError: Without apt-get, dpkg-deb or the package.
    """
    folder = cache_root() / "benchmarks" / SPEECH_PACKAGE
    if not folder.exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise UnavailableError(f"speech comes from Debian's package {SPEECH_PACKAGE}: needs apt-get and dpkg-deb")
        with whole_folder(folder) as building:
            _run(["apt-get", "download", SPEECH_PACKAGE], building)
            (archive,) = building.glob("*.deb")
            _run(["dpkg-deb", "-x", archive.name, "."], building)
            archive.unlink()
    return folder


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{' '.join(command)}: {done.stderr.strip()}")


def levels(size: int) -> list[npt.NDArray[np.uint8]]:
    """Frames ``(FRAMES, size, size, 3)`` of a walk through each level, rendered by ViZDoom.

    Args:
        size: Pixels of a side.

    Raises:
        UnavailableError: Without ViZDoom.
    """
    folder = cache_root() / "benchmarks" / f"levels-{size}"
    if not folder.exists():
        try:
            vizdoom: Any = importlib.import_module("vizdoom")
        except ImportError:
            raise UnavailableError("levels are rendered by ViZDoom: pip install -e '.[bench]'") from None
        with whole_folder(folder) as building, contextlib.chdir(building):  # ViZDoom writes settings where it runs
            for level in range(1, LEVELS + 1):
                np.save(f"{level:02}.npy", _walk(vizdoom, level, size))
    return [np.load(file) for file in sorted(folder.glob("*.npy"))]


def _walk(vizdoom: Any, level: int, size: int) -> npt.NDArray[np.uint8]:
    game = vizdoom.DoomGame()
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom2.wad"))
    game.set_doom_map(f"map{level:02}")
    game.set_window_visible(False)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_render_hud(False)
    game.set_render_weapon(False)
    buttons = vizdoom.Button
    game.set_available_buttons([buttons.MOVE_FORWARD, buttons.TURN_LEFT, buttons.TURN_RIGHT, buttons.USE])
    game.set_seed(level)
    game.init()
    rng = np.random.default_rng(level)
    frames: list[npt.NDArray[np.uint8]] = []
    while len(frames) < FRAMES:
        if len(frames) % TURN_EVERY == 0:
            action = [1, *(rng.random(3) < (0.3, 0.3, 0.1)).astype(int).tolist()]
        if game.is_episode_finished():  # the player died
            game.new_episode()
        frames.append(_square(game.get_state().screen_buffer, size))
        game.make_action(action)
    game.close()
    return np.stack(frames)


def _square(frame: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """The middle of a frame."""
    height, width, _ = frame.shape
    left = (width - height) // 2
    box = (left, 0, left + height, height)
    return np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.BOX, box))
