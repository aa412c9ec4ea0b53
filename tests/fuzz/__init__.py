"""Fuzzing of everything that reads what somebody else wrote; docs/hardening/fuzzing.md has the figures.

``law.py`` says what a parser may do, ``targets.py`` lists the parsers, ``mutation.py`` makes inputs. Tests here are
short; the long form is ``python -m tests.fuzz.run``.
"""
