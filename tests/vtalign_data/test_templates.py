import pytest

from vtalign.video.view import Slot, VideoView
from vtalign_data.templates import check_fields, fields_of, fill_prompt


def view(video_id: str) -> VideoView:
    return VideoView((Slot(video_id, 0, 0.0), Slot(video_id, 1, 0.5)), 2.0)


def test_views_and_texts_stand_where_their_fields_are() -> None:
    first, second = view("a"), view("b")
    prompt = fill_prompt("Before: {old} Now:{new}{{sic}} {ask}", {"ask": "What {now}?"}, {"old": [first], "new": [second]})
    assert prompt.parts == ("Before: ", first, " Now:", second, "{sic} What {now}?")
    assert fill_prompt("{clips} \n{ask}", {"ask": "Why?"}, {"clips": [first, second]}).parts == (first, second, " \nWhy?")
    assert fill_prompt("Look: {clips}", {}, {"clips": [first]}).parts == ("Look: ", first)


def test_fields() -> None:
    assert fields_of("{a} {{b}} {0} {}") == {"a", "0", ""}
    assert check_fields("{a}!", {"a", "b"}, {"a"}) == "{a}!"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{a.__class__}", "unknown field {a.__class__} (known: {a})"),
        ("{a} {}", "unknown field {} (known: {a})"),
        ("{{a}}", "lacks field {a}"),
        ("{a:d}", "unknown field {a:d} (known: {a})"),
        ("{a!r:>9}", "unknown field {a!r:>9} (known: {a})"),
        ("{a", "'{a' is no template"),
    ],
)
def test_wrong_templates(template: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        check_fields(template, {"a"}, {"a"})
    assert said in str(error.value)
