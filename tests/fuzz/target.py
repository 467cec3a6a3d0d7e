"""What is fuzzed: a parser with the files that it is given, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutate

CORPUS = Path(__file__).parent / "corpus"
FOUND = "found-"  # what names of files begin with that once broke something


@dataclass(frozen=True)
class Target:
    """A parser under test.

    Attributes:
        name: of its directory in the corpus.
        check: takes the content of a file, the name that the file has in the corpus without
            `FOUND...-`, and an empty directory to work in. It may raise an EdgeRetinaError, and
            anything else is a finding.
        tensorflow: it imports TensorFlow, which takes seconds.
        share: of the cases of a run; slow targets have less.
    """

    name: str
    check: Callable[[bytes, str, Path], None]
    tensorflow: bool = False
    share: float = 1.0

    def files(self) -> list[Path]:
        """Return the files of its corpus, in a fixed order."""
        return sorted((CORPUS / self.name).iterdir())

    def case(self, seed: int, number: int) -> tuple[str, bytes]:
        """Return the name and the content of a case: the corpus as it is, then its mutations."""
        files = self.files()
        if number < len(files):
            return original_name(files[number]), files[number].read_bytes()
        random = Random(f"{self.name} {seed} {number}")
        chosen = random.choice(files)
        return original_name(chosen), mutate(
            chosen.read_bytes(), random, [file.read_bytes() for file in files]
        )


def original_name(path: Path) -> str:
    """Return the name of a file of the corpus without what says that it was found by fuzzing."""
    return path.name.split("-", 2)[2] if path.name.startswith(FOUND) else path.name
