"""Blocks are found with their places, and what is no block of ours is refused."""

import pytest

from tests.documents.blocks import Malformed, blocks_of

PAGE = """# A page

<!-- board: xavier -->
```sh
ccc-doctor
ls
```

- in a list:

  ```python
  print(1)
  ```

<!-- not run: it takes a week -->

~~~bash
sleep 604800
~~~
"""


def test_blocks_have_their_first_line_their_language_and_what_is_said_above_them():
    first, second, third = blocks_of("page.md", PAGE)
    assert (first.place, first.language, first.text, first.board) == ("page.md:5", "sh", "ccc-doctor\nls\n", "xavier")
    assert (second.place, second.language, second.text, second.board) == ("page.md:12", "python", "print(1)\n", "tx2")
    assert (third.place, third.not_run, second.not_run) == ("page.md:18", "it takes a week", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```\nls\n```\n", "page.md:1: a block says what it is"),
        ("```shell\nls\n```\n", "not 'shell'"),
        ("a\n```sh\nls\n", "page.md:2: a block that does not end"),
        ("<!-- board: nano -->\ntext\n", "page.md:2: a comment about a block stands right above it"),
        ("<!-- not run: x -->\n", "a comment about a block, and no block"),
        ("<!-- not run: x -->\n```text\nls\n```\n", "a block of output is not run"),
    ],
)
def test_what_is_no_block_of_ours_is_refused_with_its_place(text, said):
    with pytest.raises(Malformed) as refused:
        blocks_of("page.md", text)
    assert said in str(refused.value)
