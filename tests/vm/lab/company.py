"""Who plays the tests: stages side by side, and one alone where that matters."""

import threading
import time
import traceback


class Company:
    """Plays tests, says how each went, and counts."""

    def __init__(self, stages, again):
        self.stages, self.again = stages, again
        self.passed, self.failed, self.unsteady = 0, [], []
        self.lock = threading.Lock()
        self.over = False

    def play(self, tests):
        """First what can stand company, on all stages; then what wants to be alone,
        and what failed beside others and may be played again."""
        left = [(one, self.again) for one in tests if not one.alone]
        alone = [(one, self.again) for one in tests if one.alone]
        if len(self.stages) == 1:
            # In the order in which they stand.
            left, alone = [], [(one, self.again) for one in tests]
        threads = [threading.Thread(target=self.run, args=(stage, left, alone), daemon=True) for stage in self.stages]
        for t in threads:
            t.start()
        for t in threads:
            # With a time: else no signal is heard.
            while t.is_alive():
                t.join(1)
        # The kernel ends a guest together with the thread that started it: here
        # it is this one.
        self.run(self.stages[0], alone, alone)

    def run(self, stage, tests, later):
        while not self.over:
            with self.lock:
                if not tests:
                    return
                one, more = tests.pop(0)
            why = self.once(stage, one)
            with self.lock:
                if why is None:
                    self.passed += 1
                elif more:
                    self.unsteady.append(one)
                    later.insert(0, (one, more - 1))
                else:
                    self.failed.append(one)

    def once(self, stage, one):
        """Plays it; nothing, or why it failed."""
        start, stage.notes, why = time.monotonic(), [], None
        try:
            one.function(stage)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001
            why = traceback.format_exc() + stage.trouble()
        finally:
            stage.end()
            stage.close_gateway()
        word, notes = "FAILED" if why else "ok    ", f" ({'; '.join(stage.notes)})" if stage.notes else ""
        text = f"{word} {time.monotonic() - start:6.1f} s  {one}{notes}"
        # At once, so that two stages do not talk into each other's words.
        print("\n".join([text, *("       | " + line for line in (why or "").splitlines())]), flush=True)
        return why

    def end(self):
        """No more tests, and no guest stays."""
        self.over = True
        for stage in self.stages:
            stage.end()
            stage.close_gateway()
