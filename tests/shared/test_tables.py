"""Tables and facts for people."""

from ccc_jetson.tables import aligned_facts, aligned_table


def test_text_stands_left_and_numbers_right_and_no_blank_ends_a_line():
    rows = [["name", "ms", "note"], ["a long one", "1.25", ""], ["b", "100.00", "slow"]]
    assert aligned_table(rows, left=(0, 2)).splitlines() == [
        "name            ms  note",
        "a long one    1.25",
        "b           100.00  slow",
    ]


def test_facts_have_their_names_in_a_column():
    assert aligned_facts([("a", "1"), ("bcd", "2")]) == "a    1\nbcd  2"
    assert aligned_facts([]) == ""
