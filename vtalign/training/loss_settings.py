"""The loss of a preference stage: one main term, and whatever is added to it in the same step."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from vtalign.config import Config


class LossTerm(Config):
    """What every term has. A term is a mean over the pairs of a step."""

    weight: float = Field(1.0, gt=0, description="of this term in the sum of the step")


class DPOTerm(LossTerm):
    """Two responses to one view: direct preference optimisation (https://arxiv.org/abs/2305.18290) and its relatives."""

    kind: Literal["dpo"]
    loss: Literal["sigmoid", "robust", "hinge", "ipo", "sigmoid_norm", "simpo", "plackett_luce"] = Field(
        "sigmoid",
        description="`robust` is rDPO, `sigmoid_norm` divides by response lengths, `simpo` needs no reference, `plackett_luce` "
        "compares the chosen response with all rejected ones of its group at once, which are not ranked (S-DPO's softmax form; a step "
        "then counts groups, and a group is as hard as its first pair)",
    )
    beta: float = Field(0.1, gt=0, description="strength of the tie to the reference")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="assumed fraction of pairs with swapped labels (cDPO, rDPO)")
    ld_alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="LD-DPO: weight of the tokens beyond the length of the shorter response; null weighs all alike",
    )
    gamma: float | None = Field(None, ge=0, description="simpo: the margin that is aimed at, in units of the reward (0.5 beta)")

    @model_validator(mode="after")
    def _possible_dpo(self) -> Self:
        if self.loss in ("simpo", "sigmoid_norm") and "beta" not in self.model_fields_set:
            usual = "2 to 2.5" if self.loss == "simpo" else "about 5"
            raise ValueError(f"loss '{self.loss}' divides by lengths and needs a beta of its own ({usual} in its paper)")
        if self.label_smoothing and self.loss not in ("sigmoid", "robust"):
            raise ValueError(f"label_smoothing has no meaning for loss '{self.loss}'; it is for sigmoid and robust")
        if self.loss == "robust" and not self.label_smoothing:
            raise ValueError("loss 'robust' needs label_smoothing, the assumed fraction of swapped labels")
        if self.ld_alpha is not None and self.loss in ("simpo", "ipo", "sigmoid_norm"):
            raise ValueError(f"ld_alpha has no meaning for loss '{self.loss}', which divides by lengths")
        if self.gamma is not None and self.loss != "simpo":
            raise ValueError(f"gamma is a setting of loss 'simpo', not of '{self.loss}'")
        return self


class RRPOTerm(LossTerm):
    """Refined regularised preference optimisation (https://arxiv.org/abs/2504.12083): the phrases that differ, and a token-wise KL."""

    kind: Literal["rrpo"]
    beta: float = Field(0.1, gt=0, description="strength of the tie to the reference")
    alpha: float = Field(0.01, ge=0, description="weight of the KL to the reference, summed over the chosen response")


class VDPOTerm(LossTerm):
    """One response, the clean view against the perturbed one (mDPO's conditional term, https://arxiv.org/abs/2406.11839)."""

    kind: Literal["vdpo"]
    beta: float = Field(0.1, gt=0, description="strength of the tie to the reference")
    anchor: float = Field(0.0, ge=0, description="weight of mDPO's anchor, which keeps the chosen response likely")


class CustomTerm(LossTerm):
    """A loss of the user's own package, found through the entry points `vtalign.losses`."""

    kind: Literal["custom"]
    entry_point: str = Field(min_length=1, description="its name among the entry points `vtalign.losses`")
    settings: dict[str, Any] = Field({}, description="keyword arguments of the loss")
    perturbed: bool = Field(False, description="the loss looks at the chosen response on the perturbed view")
    phrases: bool = Field(False, description="the loss looks at the phrases that differ")


Term = Annotated[DPOTerm | RRPOTerm | VDPOTerm | CustomTerm, Field(discriminator="kind")]
