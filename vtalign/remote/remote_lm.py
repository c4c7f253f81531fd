"""`RemoteLM`: a model behind an OpenAI-compatible server, asked as a `VideoLM` is."""

from collections.abc import Callable, Sequence
from functools import cached_property

from vtalign.ids import stable_id
from vtalign.models.requests import FrameSource, Generation, Request
from vtalign.remote.config import ServerConfig, VideoServerSettings
from vtalign.remote.frames import user_message, view_images
from vtalign.remote.requests import ChatReply, ChatRequest, ServerError
from vtalign.remote.server import ChatServer
from vtalign.video.sample import FramePolicy


class RemoteLM:
    """The model `name` on a server under a frame policy. Where it runs is the server's business; weights cannot be hashed, so the
    fingerprint is of the model's name, the frame policy and how images are sent, and not of the address."""

    device = "server"

    def __init__(self, name: str, settings: VideoServerSettings, policy: FramePolicy) -> None:
        self.name, self.policy, self.images = name, policy, settings.images
        self.server = ChatServer(ServerConfig(model=name, **settings.model_dump(exclude={"images"})))

    @cached_property
    def fingerprint(self) -> str:
        return stable_id("server-model", self.name, self.images, self.policy.model_dump(mode="json"))

    def generations(
        self,
        requests: Sequence[Request],
        source: FrameSource,
        *,
        batch_size: int = 32,
        on_made: Callable[[Sequence[int], Sequence[Generation | ServerError]], object] | None = None,
    ) -> list[Generation | ServerError]:
        """As `VideoLM.generations`, with the error in place of a response that the server did not give. `batch_size` bounds how
        many prompts are held as images at a time; `on_made` is given the place of each response as soon as it is there.

        Raises VideoError where a view cannot be read, InputError for a key or model that the server does not take, and RunFailed
        where it has stopped answering.
        """
        made: dict[int, Generation | ServerError] = {}
        for start in range(0, len(requests), batch_size):

            def on_done(place: int, answer: ChatReply | ServerError, start: int = start) -> None:
                made[start + place] = _made(answer)
                if on_made:
                    on_made([start + place], [made[start + place]])

            self.server.complete(self._chat_requests(requests[start : start + batch_size], source), on_done)
        return [made[place] for place in range(len(requests))]

    def _chat_requests(self, requests: Sequence[Request], source: FrameSource) -> list[ChatRequest]:
        views = dict.fromkeys(view for request in requests for view in request.prompt.views)
        images = {view: view_images(view, source, self.images) for view in views}
        return [
            ChatRequest(
                messages=(user_message(request.prompt, images),),
                max_tokens=request.max_new_tokens,
                temperature=request.temperature,
                seed=request.seed if request.temperature else None,
            )
            for request in requests
        ]


def _made(answer: ChatReply | ServerError) -> Generation | ServerError:
    return Generation(answer.text, answer.tokens, answer.ended) if isinstance(answer, ChatReply) else answer
