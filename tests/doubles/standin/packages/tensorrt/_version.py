"""Which TensorRT this is, which members it has, and which of them were used."""

import os

TEXT = os.environ.get("STANDIN_TENSORRT", "8.2.1.8")
VERSION = tuple(int(part) for part in TEXT.split("."))
MEMBERS_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "members.txt")
_NOTED = set()


def read_members(path=MEMBERS_FILE):
    """The columns' versions, and for each class its own presence (under "") and its members', a flag a column.

    The file, whose first line names the columns:

        # cols: 8.0.1 8.2.1 (x = present)
        ## Builder xx
           xx create_network num_DLA_cores
           .x logger
    """
    with open(path) as file:
        first, *lines = file.read().splitlines()
    columns = [tuple(int(part) for part in word.split(".")) for word in first.split("(")[0].split()[2:]]
    classes, members = {}, {}
    for line in lines:
        words = line.split()
        if words[0] == "##":
            members = classes[words[1]] = {"": words[2]}
        elif words[0] != "#":
            members.update((name, words[0]) for name in words[1:])
    return columns, classes


def members_of(version, path=MEMBERS_FILE):
    """The members that a version has, by class; the newest column counts that is not newer than the version."""
    columns, classes = read_members(path)
    older = [index for index, column in enumerate(columns) if column <= version]
    if not older:
        raise ValueError("the stand-in knows nothing of TensorRT {}".format(".".join(map(str, version))))
    column = older[-1]
    return {
        title: frozenset(name for name, flags in members.items() if name and flags[column] == "x")
        for title, members in classes.items()
        if members[""][column] == "x"
    }


MEMBERS = members_of(VERSION)


def note(title, name):
    """Appends ``Class.member`` to the file that STANDIN_MEMBERS names, once and at once: the process may be killed."""
    path = os.environ.get("STANDIN_MEMBERS")
    line = "{}.{}\n".format(title, name)
    if path and (path, line) not in _NOTED:
        _NOTED.add((path, line))
        with open(path, "a") as file:
            file.write(line)
