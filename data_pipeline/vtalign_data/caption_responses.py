"""Video-level responses from captions: those of the clips of a view, in its order, composed into one text."""

from collections.abc import Mapping, Sequence

from vtalign.remote.requests import ServerError
from vtalign_data.captions import Asking, ClipRequest
from vtalign_data.responses import Composer, Sides, SidesOfRow, Told, clip_text, lost_caption, stray_tokens
from vtalign_data.stage import Rejected, Row
from vtalign_data.usage import Usage, total


class FromCaptions:
    """`captions`: rows of the captions stage by request id; one composer for each response to a view. A perturbed sequence with a
    clip that could not be described, or was described by nothing at all, is lost, and so is one with a word of `placeholders`."""

    def __init__(
        self, asking: Asking, captions: Mapping[str, Row], composers: Sequence[Composer], placeholders: Sequence[str]
    ) -> None:
        self._asking, self._captions = asking, captions
        self._composers, self._placeholders = composers, placeholders

    @property
    def usage(self) -> Usage:
        return total(composer.usage for composer in self._composers)

    def sides(self, rows: Sequence[Row]) -> list[SidesOfRow]:
        found = [SidesOfRow() for _ in rows]
        usable: list[tuple[Row, SidesOfRow, list[ClipRequest], list[ClipRequest]]] = []
        for row, of_row in zip(rows, found, strict=True):
            clean = self._asking.clean(row)
            perturbed = self._asking.told(self._asking.perturbed(row, clean))
            clean = self._asking.told(clean)
            lost = lost_caption(row, (*clean, *perturbed), self._captions, self._placeholders)
            if lost is None:
                usable.append((row, of_row, clean, perturbed))
            else:
                of_row.rejected.append(lost)
        sequences = [self._texts(requests) for _, _, *both in usable for requests in both]
        for sample, composer in enumerate(self._composers):
            responses = iter(composer.compose(sequences))
            made = {"input": "caption", "sample": sample} if len(self._composers) > 1 else {}
            for row, of_row, clean, perturbed in usable:
                chosen, rejected = next(responses), next(responses)
                error = next((side for side in (chosen, rejected) if isinstance(side, ServerError)), None)
                if error is not None:
                    of_row.rejected.append(
                        Rejected(row["perturbation_id"], "failed", error.reason, f"{row['video']}: {error.detail}")
                    )
                else:
                    of_row.sides.append(Sides(self._told(chosen, clean), self._told(rejected, perturbed), made))
        return found

    def _told(self, text: str | ServerError, requests: Sequence[ClipRequest]) -> Told:
        assert isinstance(text, str)
        ids = [request.request_id for request in requests]
        return Told(text, ids, self._texts(requests), stray_tokens(ids, self._captions))

    def _texts(self, requests: Sequence[ClipRequest]) -> list[str]:
        return [clip_text(self._captions[request.request_id]["text"]) for request in requests]
