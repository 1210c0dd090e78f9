"""What ends a training that somebody stopped."""

from pathlib import Path

from occfit.errors import OccfitError


class StoppedError(OccfitError):
    """Somebody stopped the run; nothing is lost.

    Attributes:
        exit_code: what a shell expects of a process that a signal ended.
    """

    def __init__(self, stage: str, step: int, number: int, checkpoint: Path):
        super().__init__(
            f"Stopped in stage '{stage}' after step {step}",
            checkpoint,
            "The same command with resume=true goes on",
        )
        self.exit_code = 128 + number
        self._said = (stage, step, number, checkpoint)

    def __reduce__(self):
        return type(self), self._said
