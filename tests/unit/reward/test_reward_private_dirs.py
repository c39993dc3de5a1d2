"""Private folders, and how they go whatever a child left in them."""

from __future__ import annotations

import os
from pathlib import Path

from reward_server.sandbox.private_dirs import PrivateDirs


def test_a_folder_is_empty_and_its_owners_alone(tmp_path: Path) -> None:
    path = PrivateDirs(tmp_path, max_bytes=None).make(None)
    assert list(path.iterdir()) == []
    assert path.stat().st_mode & 0o777 == 0o700


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "inner").mkdir(parents=True)
    (kept / "file").write_text("precious")
    dirs = PrivateDirs(tmp_path, max_bytes=None)
    path = dirs.make(None)
    (path / "to_folder").symlink_to(kept)
    (path / "nested").mkdir()
    (path / "nested" / "to_file").symlink_to(kept / "file")
    (path / "nested" / "to_inner").symlink_to(kept / "inner")
    dirs.remove(path)
    assert not path.exists()
    assert (kept / "file").read_text() == "precious"
    assert (kept / "inner").is_dir()


def test_depth_costs_neither_stack_nor_descriptors(tmp_path: Path) -> None:
    dirs = PrivateDirs(tmp_path, max_bytes=None)
    path = dirs.make(None)
    here = os.open(path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    dirs.remove(path)
    assert not path.exists()


def test_closed_folders_are_removed(tmp_path: Path) -> None:
    dirs = PrivateDirs(tmp_path, max_bytes=None)
    path = dirs.make(None)
    (path / "closed" / "inner").mkdir(parents=True)
    (path / "closed" / "inner" / "file").touch()
    (path / "closed" / "inner").chmod(0)
    (path / "closed").chmod(0)
    path.chmod(0)
    dirs.remove(path)
    assert not path.exists()


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    dirs = PrivateDirs(tmp_path, max_bytes=None)
    path = dirs.make(None)
    path.rmdir()
    dirs.remove(path)
