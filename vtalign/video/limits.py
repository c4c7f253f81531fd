"""What one video may cost."""

from pydantic import Field

from vtalign.config import Config


class DecodeLimits(Config):
    """Bounds on the decoding of one video; beyond them it costs a VideoError and nothing else."""

    timeout_s: float = Field(120.0, gt=0, description="seconds for one probe or read")
    max_pixels: int = Field(4096 * 4096, ge=1, description="width x height of a source frame (8k is beyond it)")
    max_memory_mb: int = Field(4096, ge=512, description="address space of a decoder process (Linux)")
    seek_beyond_s: float = Field(300.0, gt=0, description="longer videos are read with keyframe seeks instead of one pass")
