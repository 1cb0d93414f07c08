"""How a daemon is told to end: SIGTERM or SIGINT once in order, a second time at once."""

import asyncio
import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """The signals that end the task which made it."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._is_waiting = False
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._tell)

    def _tell(self) -> None:
        for number in SIGNALS:
            # What was answered is on disk: whoever can't wait loses nothing.
            signal.signal(number, signal.SIG_DFL)
        if self._is_waiting:
            self._told.set()
        else:
            self._task.cancel()

    async def wait(self) -> None:
        """Return when a signal has come; one that came before has cancelled the task."""
        self._is_waiting = True
        await self._told.wait()
