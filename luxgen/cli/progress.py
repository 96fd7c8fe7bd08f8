"""A status line on stderr for stages that take more than a second."""

import threading
import time
from types import TracebackType
from typing import Self, TextIO

_PATIENCE = 1.0  # seconds before a stage is shown
_TICK = 1.0


class Progress:
    """Call it with the name of each stage as it starts.

    On a terminal one line shows the stage and its seconds, and is wiped at its end;
    elsewhere each long stage is one plain line. `verbose` prints every stage's time.
    """

    def __init__(self, stream: TextIO, *, quiet: bool, verbose: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._verbose = verbose
        self._terminal = stream.isatty()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._stage: str | None = None
        self._since = 0.0
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def __call__(self, stage: str) -> None:
        self.end()
        if self._quiet:
            return
        self._stage, self._since = stage, time.monotonic()
        self._ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(self._ended,), daemon=True)
        watch.start()

    def end(self) -> None:
        """End the stage and wipe its line."""
        self._ended.set()
        with self._lock:
            self._wipe()
            if self._verbose and self._stage is not None:
                seconds = time.monotonic() - self._since
                self._write(f"luxgen: {self._stage}: {seconds:.2f} s\n")
            self._stage = None

    def _watch(self, ended: threading.Event) -> None:
        """Show the stage until it ends; runs in a thread of its own."""
        wait = _PATIENCE
        while not ended.wait(wait):
            with self._lock:
                if ended.is_set():
                    return
                if not self._terminal:
                    if not self._verbose:  # which prints the stage at its end
                        self._write(f"luxgen: {self._stage} ...\n")
                    return
                self._wipe()
                seconds = time.monotonic() - self._since
                text = f"luxgen: {self._stage} ({seconds:.0f} s)"
                self._write(text)
                self._width = len(text)
            wait = _TICK

    def _wipe(self) -> None:
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
