"""One command on a board, one file to attach to an issue: everything that this project wants to know of a real Jetson.

    plan.py      which steps there are on this board, how long each takes, and why one is left out
    running.py   runs a step's commands, each a process of its own, with a log and a limit
    power.py     nvpmodel's modes: which are measured, and the way back to the one that was found
    state.py     what is done already, so that the same command goes on after a power loss
    outcome.py   what the steps have found, read from the files that they left
    page.py      the same for people: a page, a comment for an issue, a row for the README's table
    privacy.py   what may not be in it: names of the machine and its user, addresses, serial numbers
    bundle.py    the one file
    report.py    all of these, in order

Imports the standard library, what is shared, ``engines``, and of ``runtime`` what needs no numpy: on a board where
``import numpy`` dies there is to be a report that says so.
"""
