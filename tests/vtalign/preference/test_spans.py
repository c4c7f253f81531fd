"""Where responses differ, as characters, and which of the model's tokens that is."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from vtalign.assets import tiny_checkpoint
from vtalign.errors import InputError
from vtalign.models.encode import LMParts, encode_responses, response_offsets
from vtalign.models.load import load_video_lm
from vtalign.models.template import ChatTemplate
from vtalign.models.tiny import SPECIAL_TOKENS, build_processor
from vtalign.preference.spans import differing_spans, phrase_mask
from vtalign.preference.words import split_words

SENTENCES = [
    "a red square moves left , then a blue circle grows .",
    "The dog runs \U0001f415.",
    "caf\u00e9 \u732b\u304c\u8d70\u308b",
]
WORDS = st.lists(st.sampled_from(["red", "blue", "square", "moves", "grows", "left", "then"]), max_size=12)
PIECES = ["Red", "red", "square", "9.5", "-3", "!", " ", "  ", "\n", "<|im_end|>"]
PIECES += [
    "caf\u00e9",
    "cafe\u0301",
    "\u732b",
    "\u8d70",
    "\u304c\u3099",
    "\ube68\uac04",
    "\u1112\u1161",
    "\u0928\u092e",
]  # scripts, marks
PIECES += [
    "\U0001f415",
    "\U0001f469\u200d\U0001f467",
    "\U0001f44d\U0001f3fd",
    "\U0001f1e9\U0001f1ea",
]  # emoji of one and of several characters
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=10).map("".join) | st.text(min_size=1, max_size=12)


def differing(chosen: str, rejected: str) -> tuple[list[str], list[str]]:
    """The phrases themselves."""
    spans = differing_spans(chosen, rejected)
    one, other = ([text[start:stop] for start, stop in side] for text, side in zip((chosen, rejected), spans, strict=True))
    return one, other


@pytest.mark.parametrize(
    ("chosen", "rejected", "one", "other"),
    [
        ("The square moves left first.", "The circle moves right first.", ["square", "left"], ["circle", "right"]),
        ("It moves left, then it grows.", "It moves left.", ["then it grows"], []),
        ("It grows.", "It quickly grows.", [], ["quickly"]),
        ("Yes", "No", ["Yes"], ["No"]),
        # what one says first and the other last: the longer part stays, the moved one is a span on both sides
        ("It grows, then a red square moves.", "A red square moves, then it grows.", ["It grows, then"], ["then it grows"]),
        ("The dog, runs!", "the dog runs", ["The", ",", "!"], ["the"]),  # nothing else differs
        ("The dog, runs!", "the cat runs", ["dog"], ["cat"]),
        ("It takes 9.5 seconds", "It takes 9.6 seconds", ["9.5"], ["9.6"]),
        ("\u732b\u304c\u8d70\u308b\u3002", "\u72ac\u304c\u8d70\u308b\u3002", ["\u732b"], ["\u72ac"]),
        ("a  b\n", "a b", [], []),
        ("same", "same", [], []),
    ],
)
def test_phrases_of_two_responses(chosen: str, rejected: str, one: list[str], other: list[str]) -> None:
    assert differing(chosen, rejected) == (one, other)


@given(WORDS, WORDS)
def test_outside_the_spans_the_words_are_the_same_in_the_same_order(chosen: list[str], rejected: list[str]) -> None:
    texts = [" ".join(side) for side in (chosen, rejected)]
    rest = []
    for text, spans in zip(texts, differing_spans(*texts), strict=True):
        for start, stop in reversed(spans):
            text = text[:start] + text[stop:]
        rest.append(text.split())
    assert rest[0] == rest[1]
    assert any(differing_spans(*texts)) == (chosen != rejected)


@given(TEXTS, TEXTS)
def test_spans_rise_inside_the_text_and_meet_its_words(chosen: str, rejected: str) -> None:
    both = differing_spans(chosen, rejected)
    for text, spans in zip((chosen, rejected), both, strict=True):
        words = split_words(text)
        starts, stops = {word.start for word in words}, {word.stop for word in words}
        last = 0
        for start, stop in spans:
            assert last <= start < stop <= len(text) and start in starts and stop in stops
            last = stop
    same = [word.text for word in split_words(chosen)] == [word.text for word in split_words(rejected)]
    assert any(both) != same


@given(TEXTS)
def test_equal_texts_have_no_spans(text: str) -> None:
    assert differing_spans(text, text) == ((), ())
    assert differing_spans(text, f"  {text}\n") == ((), ())


def test_mask_by_hand() -> None:
    # tokens: "a" " red" " squ" "are" and the end of turn; a token that holds one character of a span is in it
    offsets = [(0, 1), (1, 5), (5, 9), (9, 12), (12, 12)]
    assert phrase_mask(((2, 5),), offsets) == [False, True, False, False, False]
    assert phrase_mask(((6, 12),), offsets) == [False, False, True, True, False]
    assert phrase_mask(((0, 1), (8, 9)), offsets) == [True, False, True, False, False]
    assert phrase_mask(((0, 12),), offsets) == [True, True, True, True, False]
    assert phrase_mask((), offsets) == [False] * 5
    # "a", a space that the tokenizer trims, "b"
    assert phrase_mask(((0, 3),), [(0, 1), (2, 2), (2, 3), (3, 3)]) == [True, True, True, False]
    assert phrase_mask(((2, 3),), [(0, 1), (2, 2), (2, 3), (3, 3)]) == [False, False, True, False]


@pytest.fixture(scope="module")
def tiny() -> LMParts:
    """Of the shipped checkpoint."""
    return load_video_lm(tiny_checkpoint(), device="cpu").parts


def trained(normalise: bool, trim: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of a few sentences: emoji and Chinese characters fall into tokens of single bytes."""
    tokenizer = Tokenizer(models.BPE())
    if normalise:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL_TOKENS, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*SENTENCES * 5, "user\nassistant\n"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>")


@pytest.fixture(scope="module")
def with_tokenizer(tiny: LMParts) -> Callable[[str], LMParts]:
    """By name: the shipped tokenizer, or one of our own under the same chat template."""
    kinds = {"bytes": (False, False), "bytes, trimmed": (False, True), "bytes, normalised": (True, False)}

    def parts(name: str) -> LMParts:
        processor = build_processor(trained(*kinds[name]))
        return replace(tiny, processor=processor, template=ChatTemplate(processor, processor.video_token, name))

    made = {"shipped": tiny, **{name: parts(name) for name in kinds}}
    # white space of the template between prompt and response, as SmolVLM's has it
    made["behind a space"] = replace(tiny, template=ChatTemplate(tiny.processor, tiny.processor.video_token, "tiny"))
    made["behind a space"].template.lead = " "
    return made.__getitem__


@pytest.fixture(scope="module", params=["shipped", "bytes", "bytes, trimmed", "bytes, normalised", "behind a space"])
def parts(request: pytest.FixtureRequest, with_tokenizer: Callable[[str], LMParts]) -> LMParts:
    return with_tokenizer(request.param)


@given(chosen=TEXTS, rejected=TEXTS)
def test_no_pair_is_lost_to_tokenisation(parts: LMParts, chosen: str, rejected: str) -> None:
    texts = [chosen, rejected]
    ids, offsets = encode_responses(parts, texts), response_offsets(parts, texts)
    for text, spans, tokens, places in zip(texts, differing_spans(*texts), ids, offsets, strict=True):
        mask = phrase_mask(spans, places)
        assert len(mask) == len(tokens) and not mask[-1]
        for span in spans:
            assert any(phrase_mask((span,), places))
        inside = {k for start, stop in spans for k in range(start, stop)}
        for place, marked in zip(places, mask, strict=True):
            assert 0 <= place[0] <= place[1] <= len(text)
            assert marked or inside.isdisjoint(range(*place))
            assert not marked or place[0] == place[1] or not inside.isdisjoint(range(*place))


def test_tokens_of_a_phrase_spell_it(parts: LMParts) -> None:
    chosen, rejected = "a red square moves left \U0001f415 then grows", "a red square moves right \U0001f408 then grows"
    [ids], [places] = encode_responses(parts, [chosen]), response_offsets(parts, [chosen])
    mask = phrase_mask(differing_spans(chosen, rejected)[0], places)
    phrase = parts.tokenizer.decode([token for token, marked in zip(ids, mask, strict=True) if marked])
    assert phrase.strip() == "left \U0001f415"


def test_nothing_has_no_offsets_and_an_empty_response_only_its_end(tiny: LMParts) -> None:
    assert response_offsets(tiny, []) == [] and response_offsets(tiny, [""]) == [[(0, 0)]]


def test_a_tokenizer_without_offsets_is_one_line(tiny: LMParts) -> None:
    slow = replace(tiny, processor=SimpleNamespace(tokenizer=ByT5Tokenizer()))
    with pytest.raises(InputError, match=r"ByT5Tokenizer does not tell .* fast tokenizer"):
        response_offsets(slow, ["a"])
