"""The home folder: where it is, and whom it lets in."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from cmam.config.home import SOCKET_PATH_BYTES_MAX, Home, HomeRefused, choose_home


def test_option_wins_over_variable_wins_over_platform(tmp_path: Path) -> None:
    """The nearer a choice is to the command, the more it counts."""
    variable = {"CMAM_HOME": str(tmp_path / "variable")}
    assert choose_home(str(tmp_path / "option"), variable).root == tmp_path / "option"
    assert choose_home(None, variable).root == tmp_path / "variable"
    assert choose_home(None, {}).root.name == "cmam"


def test_a_home_of_nobody_is_refused() -> None:
    """A user whom the machine does not know has no folder."""
    with pytest.raises(HomeRefused, match="no user of that name"):
        choose_home("~nobody-is-called-so/cmam", {})


def test_a_file_in_place_of_a_home_is_named_as_one(tmp_path: Path) -> None:
    """Else the first file that is looked for in it would be blamed, or a device be taken for a home that is empty."""
    (tmp_path / "events.db").touch()
    for path in (tmp_path / "events.db", Path("/dev/null")):
        with pytest.raises(HomeRefused, match=f"Expected a folder, found the file {path}"):
            choose_home(str(path), {})


def test_a_link_to_nowhere_is_no_home_that_is_not_made_yet(tmp_path: Path) -> None:
    """With its disk not mounted, `status` said that no account was ever added."""
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    with pytest.raises(HomeRefused, match=r"a link to .*disk, which is not there\. Is its disk mounted"):
        choose_home(str(tmp_path / "link"), {})
    (tmp_path / "disk").mkdir()
    assert choose_home(str(tmp_path / "link"), {}).root == tmp_path / "link"


def test_a_home_of_another_user_is_named_as_his(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each command blamed another of its files; a folder of our own that is closed is told by who opens a file."""
    (tmp_path / "home").mkdir(mode=0o700)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert choose_home(str(tmp_path / "home"), {}).root == tmp_path / "home"
    owner = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr(os, "getuid", lambda: -2)
    with pytest.raises(HomeRefused, match=f"belongs to the user {owner}, and is closed to other users"):
        choose_home(str(tmp_path / "home"), {})


def test_a_user_without_a_home_folder_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container a process may run as a user that nobody has listed, and with an empty environment."""

    def nobody(number: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(HomeRefused, match="Name one with --home FOLDER"):
        choose_home(None, {})


def test_a_relative_home_is_pinned_to_the_present_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A child process with another working folder means the same home."""
    monkeypatch.chdir(tmp_path)
    assert choose_home("here", {}).root == tmp_path / "here"


def test_a_new_home_is_private(tmp_path: Path) -> None:
    """Nobody else may look into a folder that will hold tokens, whatever the umask."""
    before = os.umask(0)
    try:
        home = Home(tmp_path / "a" / "home")
        home.prepare()
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_an_empty_open_folder_is_closed_and_a_used_one_left_alone(tmp_path: Path) -> None:
    """A folder made for cmam by hand becomes private; one that is used for something else keeps its permissions."""
    empty, used = tmp_path / "empty", tmp_path / "used"
    for folder in (empty, used):
        folder.mkdir()
        folder.chmod(0o755)
    (used / "notes").touch()
    Home(empty).prepare()
    Home(used).prepare()
    assert stat.S_IMODE(empty.stat().st_mode) == 0o700
    assert stat.S_IMODE(used.stat().st_mode) == 0o755


def test_a_home_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    """A home that cannot be made says so, and how to name another."""
    (tmp_path / "file").touch()
    with pytest.raises(HomeRefused, match=r"Expected a folder .* Name another with --home or CMAM_HOME\."):
        Home(tmp_path / "file").prepare()


def test_the_control_socket_fits_whatever_the_home_is_called(tmp_path: Path) -> None:
    """A home with a long path still has a socket whose path the system takes, and always the same one."""
    short, long = Home(tmp_path / "h"), Home(Path("/" + "x" * 200))
    assert short.control_socket.parent == short.root / "run" or len(str(short.root)) > 80
    assert len(os.fsencode(long.control_socket)) <= SOCKET_PATH_BYTES_MAX
    assert long.control_socket == Home(long.root).control_socket != Home(Path("/" + "y" * 200)).control_socket


def test_the_runtime_folder_is_private(tmp_path: Path) -> None:
    """Only its owner reaches the control socket."""
    home = Home(tmp_path / "home")
    home.prepare()
    assert stat.S_IMODE(home.prepare_runtime().stat().st_mode) == 0o700
