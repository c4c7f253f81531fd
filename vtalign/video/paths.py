"""Paths from a manifest stay inside the corpus root."""

from pathlib import Path

from vtalign.errors import VideoError


def confined(root: Path, relative: str) -> Path:
    """The real path of `relative` under `root`; VideoError `missing` or `outside_root`.

    `..` and symlinks are followed first: what counts is where the file lies.
    """
    try:
        real = (root / relative).resolve(strict=True)
    except FileNotFoundError:
        raise VideoError(relative, "missing", f"no such file under {root}") from None
    except (OSError, RuntimeError, ValueError) as error:  # a symlink loop, a name the file system cannot hold
        raise VideoError(relative, "missing", f"cannot be resolved under {root}: {error}") from None
    if not real.is_relative_to(root.resolve()):
        raise VideoError(relative, "outside_root", f"leads out of the corpus root {root}")
    return real
