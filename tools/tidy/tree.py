"""The files of the tree that the rules look at."""

import pathlib

# What git ignores (.gitignore), and git itself.
_SKIPPED_FOLDERS = {".git", "build", "__pycache__"}


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = sorted(self._walk(self.root))

    def _walk(self, folder):
        for path in folder.iterdir():
            if path.is_symlink():
                continue
            if path.is_dir():
                if path.name not in _SKIPPED_FOLDERS:
                    yield from self._walk(path)
            elif path.suffix != ".pyc":
                yield path.relative_to(self.root)

    def with_suffix(self, *suffixes):
        return [path for path in self.files if path.suffix in suffixes]

    def read(self, path):
        """The text of a file; None when it is not text."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return None

    def top_level(self):
        """Names at the top, folders too, but for what is ignored."""
        return sorted(p.name for p in self.root.iterdir() if p.name not in _SKIPPED_FOLDERS)
