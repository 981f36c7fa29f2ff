"""Tables on narrow terminals: what of them is shown, against the words that were given."""

import random

import pytest
from rich.cells import cell_len

from unblur.console import console, show_table

LETTERS = "abcdefghij"


@pytest.fixture
def shown(monkeypatch, capsys):
    """`shown(width, columns, rows)`: the lines of a table on a terminal of that width."""

    def show(width, columns, rows):
        monkeypatch.setattr(console, "width", width)
        show_table("Title", columns, rows)
        return capsys.readouterr().out.splitlines()

    return show


def whole(lines, columns, rows):
    """Tell whether each word stands in one piece in its own column."""
    found = [line.replace("┃", "│").split("│")[1:-1] for line in lines if line[:1] in ("│", "┃")]
    pieces = [set(" ".join(column).split()) for column in zip(*found, strict=True)]
    wanted = zip(columns, *rows, strict=True)
    return all(set(" ".join(words).split()) <= there for words, there in zip(wanted, pieces, strict=True))


def test_a_column_gives_way_before_another_one_s_words_are_broken(shown):
    columns = ["file", "severity", "detail"]
    file = "train/GOPR0372_07_00/sharp/000009.png"
    rows = [[file, "error", "a near-duplicate of a picture of the test split, which training would learn by heart"]]
    lines = shown(80, columns, rows)
    assert max(map(len, lines)) <= 80
    assert whole(lines, columns, rows)
    assert any(file in line and "error" in line for line in lines)


@pytest.mark.parametrize("rows", [[], [["a", "b"]]])
def test_a_table_of_little_takes_no_more_room_than_it_needs(shown, rows):
    lines = shown(80, ["file", "of"], iter(rows))
    assert {len(line) for line in lines[1:]} == {len("┃ file ┃ of ┃")}


@pytest.mark.property
@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_words_stay_whole_where_all_have_room_and_no_line_is_too_long(shown, width):
    rng = random.Random(width)

    def text():
        return " ".join("".join(rng.choices(LETTERS, k=rng.randint(1, 14))) for _ in range(rng.randint(0, 9)))

    for _ in range(60):
        count = rng.randint(1, 6)
        columns = [text() or "a" for _ in range(count)]
        rows = [[text() for _ in range(count)] for _ in range(rng.randint(0, 3))]
        lines = shown(width, columns, rows)
        assert max(map(cell_len, lines)) <= width
        longest = [max(map(len, " ".join(column).split())) for column in zip(columns, *rows, strict=True)]
        if sum(longest) + 3 * count + 1 <= width:
            assert whole(lines, columns, rows)


def test_where_there_is_no_room_every_column_keeps_some(shown):
    rows = [["a" * 30, "写真" * 5, "b" * 30]]
    lines = shown(20, ["x", "y", "z"], rows)
    assert max(map(cell_len, lines)) <= 20
    told = "".join("".join(line.split("│")[1:-1]) for line in lines if line.startswith("│"))
    assert [told.count(each) for each in ("a", "b", "写", "真")] == [30, 30, 5, 5]


def test_a_figure_stays_whole_where_a_header_has_to_be_broken(shown):
    columns = ["method", "psnr/literature", "ssim/per-channel", "milliseconds"]
    lines = shown(40, columns, [["model", "30.38", "0.8430", "687.08"]])
    assert any({"model", "30.38", "0.8430", "687.08"} <= set(line.split()) for line in lines)
