"""The demo's report: sections, tables, and promises that were kept or not."""

import time


class Report:
    def __init__(self):
        self._begun = time.monotonic()
        self._kept = 0
        self._broken = []

    def section(self, title):
        print(f"\n[{time.monotonic() - self._begun:5.1f} s] {title}", flush=True)

    def line(self, text):
        print(f"  {text}", flush=True)

    def text(self, text):
        for line in text.rstrip("\n").splitlines():
            self.line(f"  {line}".rstrip())

    def command(self, *words):
        self.line("$ " + " ".join(words))

    def table(self, header, rows):
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        for row in [header, *rows]:
            cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            self.line("  " + "  ".join(cells))

    def promise(self, kept, text, *more):
        """One thing that the demo promises, with the figures that show it."""
        self.line(f"{'ok    ' if kept else 'FAILED'} {text.rstrip()}")
        for line in more:
            self.line(f"       {line}")
        if kept:
            self._kept += 1
        else:
            self._broken.append(text.splitlines()[0])

    def end(self):
        """Prints the verdict; the exit code."""
        seconds = time.monotonic() - self._begun
        if self._broken:
            print(f"\nFAILED: {len(self._broken)} of {self._kept + len(self._broken)} promises in {seconds:.1f} s:")
            for text in self._broken:
                print(f"  {text}")
            return 1
        print(f"\nAll {self._kept} promises kept in {seconds:.1f} s.")
        return 0
