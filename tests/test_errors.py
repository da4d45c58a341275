import pytest

from ndvq_tune.errors import first_line, message_of


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("no such table\n[SQL: select]", "no such table"),
        ("\n  two lines below\nmore", "two lines below"),
        ("", "ValueError"),
        (" \n", "ValueError"),
        ("x" * 400, "x" * 300),
    ],
)
def test_the_first_line_of_an_error_says_something_and_is_short(text, line):
    assert first_line(ValueError(text)) == line


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError(" two\nlines\n"), "two\nlines"), (EOFError(), "EOFError"), (OSError("\n"), "OSError")],
)
def test_the_message_of_an_error_without_a_text_is_its_type(error, message):
    assert message_of(error) == message
