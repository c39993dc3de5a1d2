"""Looking after the folder of a program."""

from __future__ import annotations

import os
from pathlib import Path

from reward_server.programs.folder import MAX_BYTES, is_overfull
from reward_server.sandbox.private_dirs import remove_tree


def test_a_few_files_are_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "note").write_bytes(bytes(1 << 20))
    (tmp_path / "root").symlink_to("/")
    assert not is_overfull(tmp_path)
    assert not is_overfull(tmp_path / "gone")


def test_many_files_are_too_much(tmp_path: Path) -> None:
    for number in range(1001):
        (tmp_path / str(number)).symlink_to("x")
    assert is_overfull(tmp_path)


def test_many_bytes_are_too_much_wherever_they_are(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    with (deep / "large").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, MAX_BYTES + 1)
    assert is_overfull(tmp_path)


def test_depth_is_counted_like_files(tmp_path: Path) -> None:
    before, top = Path.cwd(), tmp_path / "top"
    top.mkdir()
    os.chdir(top)
    try:
        for _ in range(1001):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(before)
    assert is_overfull(top)
    remove_tree(top)  # deeper than pytest can
