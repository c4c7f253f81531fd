"""CHES, the centered hidden embedding similarity of two responses (https://arxiv.org/abs/2410.08847).

S+ is the sum of the hidden states, before unembedding, at the positions that predict the tokens of the chosen response (the last
one of the prompt to the last but one of the response), S- that of the rejected one. The higher the score, the more preference
training on the pair tends to lower the likelihood of both sides, so pairs of the highest scores are those to leave out.
"""


def ches(chosen_product: float, rejected_product: float) -> float:
    """<S+, S-> - |S+|^2, from `chosen_product` = <S+, S+> and `rejected_product` = <S+, S->."""
    return rejected_product - chosen_product


def length_normalised_ches(chosen_product: float, rejected_product: float, chosen_tokens: int, rejected_tokens: int) -> float:
    """<S+, S-> / (|y+| |y-|) - |S+|^2 / |y+|^2: `ches` of mean hidden states, which does not grow with the responses."""
    return rejected_product / (chosen_tokens * rejected_tokens) - chosen_product / chosen_tokens**2
