"""Results in the Test Anything Protocol, for the checks in this folder: one line a result, its reasons as comments."""
import sys


class Tap:
    def __init__(self, out=sys.stdout):
        self.out, self.count, self.failed = out, 0, 0

    def note(self, text):
        for line in str(text).splitlines() or [""]:
            print("# " + line, file=self.out, flush=True)

    def result(self, passed, name, reasons=()):
        self.count += 1
        self.failed += 0 if passed else 1
        print(f"{'ok' if passed else 'not ok'} {self.count} - {name.replace('#', '%')}", file=self.out, flush=True)
        for reason in reasons:
            self.note(reason)

    def done(self):
        """Prints the plan. The exit status: 0 only where something was checked and nothing failed."""
        print(f"1..{self.count}", file=self.out, flush=True)
        return 0 if self.count and not self.failed else 1


def run_unittest(module_names, tap=None):
    """Runs unittest modules; each test is a result. A test that asks to be skipped has failed."""
    import unittest

    tap = tap or Tap()

    class Result(unittest.TestResult):
        def addSuccess(self, test):
            tap.result(True, test.id())

        def addFailure(self, test, err):
            tap.result(False, test.id(), [self._exc_info_to_string(err, test)])

        addError = addFailure

        def addSkip(self, test, reason):
            tap.result(False, test.id(), [f"asked to be skipped: {reason}"])

        def addExpectedFailure(self, test, err):
            tap.result(True, test.id())

        def addUnexpectedSuccess(self, test):
            tap.result(False, test.id(), ["was expected to fail"])

    unittest.defaultTestLoader.loadTestsFromNames(module_names).run(Result())
    return tap.done()
