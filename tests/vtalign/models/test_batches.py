"""What is read together: everything once, of like length, and no more responses than rows have on average."""

import pytest

from vtalign.errors import InputError
from vtalign.models.batches import prompt_batches, row_batches
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row

from .conftest import make_plain_view

CLEAN, LONG, OTHER = make_plain_view("a", 8), make_plain_view("b", 12), make_plain_view("c", 8)
MOVED = [CLEAN.with_contents(order) for order in ([7, 6, 5, 4, 3, 2, 1, 0], [4, 5, 6, 7, 0, 1, 2, 3], [1, 0, 3, 2, 5, 4, 7, 6])]
TEXT = "what happens ?"
SENTENCE = "a red square moves left ."


def _row(view: object, responses: int, text: str = TEXT) -> Row:
    return Row(Prompt((view, text)), (SENTENCE,) * responses)  # type: ignore[arg-type]


def test_prompts_of_a_view_stand_side_by_side_the_short_first() -> None:
    prompts = [Prompt((LONG, TEXT)), Prompt((CLEAN, TEXT)), Prompt((OTHER, TEXT)), Prompt((CLEAN, "what ?")), Prompt(("hi",))]
    assert prompt_batches(prompts, 2) == [[4, 3], [1, 2], [0]]


def test_a_row_of_many_responses_is_read_apart_from_rows_of_one() -> None:
    """A preference group as it is scored: all responses on the clean view, the chosen one on each perturbed view."""
    rows = [_row(CLEAN, 12), *(_row(view, 1) for view in MOVED), _row(OTHER, 12)]
    assert row_batches(rows, 16) == [[0, 4], [1, 2, 3]]


def test_rows_that_are_compared_stand_close_though_one_shows_fewer_frames() -> None:
    rows, against = [], {}
    for number in range(40):
        view = make_plain_view(f"v{number}", 8)
        moved, dropped = view.with_contents([1, 0, 2, 3, 4, 5, 6, 7]), make_plain_view(f"v{number}", 4)
        rows += [_row(view, 2), _row(moved, 1), _row(dropped, 1)]
        against |= {3 * number + 1: 3 * number, 3 * number + 2: 3 * number}
    of_row = {index: number for number, batch in enumerate(row_batches(rows, 6, against)) for index in batch}
    assert len(of_row) == 120
    assert max(abs(of_row[row] - of_row[base]) for row, base in against.items()) < 6
    alone = {index: number for number, batch in enumerate(row_batches(rows, 6)) for index in batch}
    assert max(abs(alone[row] - alone[base]) for row, base in against.items()) > 10, "by length alone they are far apart"


def test_responses_of_a_batch_are_no_more_than_rows_have_on_average() -> None:
    rows = [_row(make_plain_view(f"v{at}", 8), 10 if at < 4 else 1) for at in range(8)]  # 44 responses of 8 rows: 22 for 4 rows
    assert row_batches(rows, 4) == [[0, 1], [2, 3], [4, 5, 6, 7]]
    alike = [_row(make_plain_view(f"v{at}", 8), 10) for at in range(8)]
    assert row_batches(alike, 4) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert row_batches([_row(CLEAN, 40), _row(OTHER, 1)], 1) == [[0], [1]]


def test_questions_about_one_view_stay_together() -> None:
    """They become one row, as long as all of them."""
    rows = [_row(MOVED[0], 1), *(_row(CLEAN, 1, f"{TEXT} {at}") for at in range(9)), _row(OTHER, 9)]
    assert row_batches(rows, 16) == [[0], [*range(1, 11)]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_every_row_is_in_one_batch(size: int) -> None:
    views = [CLEAN, LONG, OTHER, *MOVED]
    rows = [_row(views[at % 6], 1 + at * at % 11, TEXT * (at % 3)) for at in range(60)]
    rows += [Row(Prompt((TEXT,)), (SENTENCE,)) for _ in range(5)]
    batches = row_batches(rows, size)
    assert sorted(index for batch in batches for index in batch) == list(range(65))
    assert all(1 <= len(batch) <= size for batch in batches)
    assert row_batches([], size) == []


def test_a_size_below_one_is_refused() -> None:
    for make in (prompt_batches, row_batches):
        with pytest.raises(InputError, match="batch_size must be at least 1, got 0"):
            make([], 0)
