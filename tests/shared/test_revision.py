"""Which commit a checkout is at, without git."""

import os

import pytest

from ccc_jetson.revision import revision

COMMIT, OTHER = "0123456789abcdef" * 2 + "01234567", "f" * 40
SHORT = COMMIT[:12]


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "src" / "ccc_jetson").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    return tmp_path


def found(checkout):
    return revision(str(checkout / "src" / "ccc_jetson"))


def test_a_branch_is_followed_to_its_commit(checkout):
    (checkout / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (checkout / ".git" / "refs" / "heads").mkdir(parents=True)
    (checkout / ".git" / "refs" / "heads" / "main").write_text(COMMIT + "\n")
    assert found(checkout) == SHORT


def test_a_packed_branch_is_found_among_others(checkout):
    (checkout / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    lines = ["# pack-refs with: peeled fully-peeled sorted", OTHER + " refs/heads/mainly", COMMIT + " refs/heads/main"]
    (checkout / ".git" / "packed-refs").write_text("\n".join(lines + ["^" + OTHER]) + "\n")
    assert found(checkout) == SHORT


def test_a_commit_that_is_checked_out_itself(checkout):
    (checkout / ".git" / "HEAD").write_text(COMMIT + "\n")
    assert found(checkout) == SHORT


def test_a_worktree_has_its_branch_in_the_common_folder(checkout, tmp_path):
    main = tmp_path / "main.git"
    (main / "worktrees" / "side").mkdir(parents=True)
    (main / "refs" / "heads").mkdir(parents=True)
    (main / "refs" / "heads" / "side").write_text(COMMIT)
    (main / "worktrees" / "side" / "HEAD").write_text("ref: refs/heads/side\n")
    (main / "worktrees" / "side" / "commondir").write_text("../..\n")
    os.rmdir(str(checkout / ".git"))
    (checkout / ".git").write_text("gitdir: {}\n".format(main / "worktrees" / "side"))
    assert found(checkout) == SHORT


@pytest.mark.parametrize("head", ["", "ref: refs/heads/gone", "rubbish", "\xff\xfe"])
def test_what_is_not_understood_is_no_revision(checkout, head):
    (checkout / ".git" / "HEAD").write_text(head, encoding="latin-1")
    assert found(checkout) == ""


def test_an_installed_package_has_none_even_within_somebodys_repository(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(COMMIT)
    (tmp_path / "site-packages" / "ccc_jetson").mkdir(parents=True)
    assert revision(str(tmp_path / "site-packages" / "ccc_jetson")) == ""
    assert revision(str(tmp_path / "src" / "ccc_jetson")) == SHORT  # a checkout, for comparison


def test_of_this_package_there_is_a_revision_or_none():
    assert revision() == "" or len(revision()) == 12


def test_a_reference_that_no_file_can_have_is_no_commit(checkout):
    (checkout / ".git" / "HEAD").write_bytes(b"ref: refs/heads/a\0b\n")
    assert found(checkout) == ""
