"""RRPO's `<MASK> .. </MASK>` around phrases, from and to spans of the clean text (the sample JSON of its docs/DATA.md).

RRPO tokenises the tagged text and gives up where the tags move a token boundary. Here tags never meet a tokenizer: a tagged text
is laid beside the clean one character by character, white space left out, so that no spacing around tags costs a pair.
"""

import re

from vtalign.preference.pair import Spans

MASK_TAGS = ("<MASK>", "</MASK>")
_TAG = re.compile(r"<\s*(/?)\s*MASK\s*>", re.IGNORECASE)


def masked_text(text: str, spans: Spans) -> str:
    """`text` with every span in tags, spaced as in RRPO's data: `a <MASK> word </MASK>.`"""
    pieces, last = [], 0
    for start, stop in spans:
        pieces += [text[last:start], f"{MASK_TAGS[0]} ", text[start:stop], f" {MASK_TAGS[1]}"]
        last = stop
    return "".join([*pieces, text[last:]])


def has_mask_tag(text: str) -> bool:
    return _TAG.search(text) is not None


def read_masks(masked: str, text: str) -> tuple[Spans, bool] | None:
    """(spans of `text` that `masked` has in tags, whether the tags were well formed); None where it is another text.

    Nested phrases are one, from the first tag to the last. Tags that do not pair up: a phrase goes from its first opening tag to
    the next closing one, or to the end; a closing tag without an opening one says nothing. Phrases without a word are none.
    """
    places = [place for place, character in enumerate(text) if not character.isspace()]
    if "".join(_TAG.sub("", masked).split()) != "".join(text.split()):
        return None
    marks, last, passed = [], 0, 0  # (closing, number of visible characters before it)
    for tag in _TAG.finditer(masked):
        passed += sum(not character.isspace() for character in masked[last : tag.start()])
        marks.append((bool(tag[1]), passed))
        last = tag.end()
    paired = _pairs_up([closing for closing, _ in marks])
    spans, depth, begun = [], 0, 0
    for closing, at in [*marks, (True, len(places))] if not paired else marks:
        before = depth
        depth = (depth - 1 if closing else depth + 1) if paired else int(not closing)
        if not before and depth:
            begun = at
        elif before and not depth and begun < at:
            spans.append((places[begun], places[at - 1] + 1))
    return tuple(spans), paired


def _pairs_up(closings: list[bool]) -> bool:
    depth = 0
    for closing in closings:
        depth += -1 if closing else 1
        if depth < 0:
            return False
    return depth == 0
