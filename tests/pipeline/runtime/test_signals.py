"""Signals that a scheduler sends before it ends a command."""

import os
import signal
import threading

import pytest

from synthcl.pipeline.runtime.signals import Stopped, stop_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_of_a_scheduler_stop_it_with_the_code_for_trying_again(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=f"{number.name} came; .* the same command continues") as raised, stop_signals():
        os.kill(os.getpid(), number)
        threading.Event().wait(5)
    assert raised.value.exit_code == os.EX_TEMPFAIL and signal.getsignal(number) == before


def test_in_another_thread_signals_stay_as_they_are():
    found = []

    def inside():
        with stop_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
