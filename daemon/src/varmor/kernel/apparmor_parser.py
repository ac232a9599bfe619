# SPDX-License-Identifier: Apache-2.0
"""apparmor_parser: what it can do, and what it says about a text."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from varmor.errors import PolicyError, VarmorError
from varmor.policy.types import Policy
from varmor.profile.apparmor_lines import complained, text_error

_VERSION = re.compile(r"version\s+(\d+)\.(\d+)")
_LINE = re.compile(r"\bline\s+(\d+)")
_LONGEST_REPORT = 4096
# As a file, standard input has a name in the parser's words, so that it can be told from the files it includes.
_STDIN = "/proc/self/fd/0"
_SEARCH_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


class AppArmorError(VarmorError):
    """AppArmor refused something, in the words of the kernel or of apparmor_parser."""


class AppArmorTextError(AppArmorError):
    """A profile text that apparmor_parser does not take.

    ``line`` is the line of the text that it names, from 1 (0: none), and ``rule`` what stands there; ``origin`` tells
    the field of the manifest that this line was written in, when it is a custom rule's; ``words`` are the parser's own.
    """

    exit_code = 2

    def __init__(self, name: str, words: str, text: str, file: str = _STDIN) -> None:
        self.words = words
        self.origin = complained(text, words, file)
        found = _LINE.search(words)
        self.line = int(found.group(1)) if found else 0
        lines = text.split("\n")
        self.rule = lines[self.line - 1].strip() if 0 < self.line <= len(lines) else ""
        quoted = f", `{self.rule}`" if self.rule else ""
        if self.origin is not None:
            where = f": {self.origin.field}: line {self.origin.line} of the text{quoted}"
        else:
            where = f": line {self.line}{quoted}" if quoted else ""
        super().__init__(f"AppArmor profile {name}{where}: {words}")

    def about(self, policy: Policy) -> PolicyError:
        """The same as an error about ``policy``, at the line of its manifest when a custom rule is to blame."""
        if self.origin is None:
            return policy.error("", str(self))
        quoted = f"`{self.rule}`: " if self.rule else ""
        return text_error(policy, self.origin, f"{quoted}apparmor_parser: {self.words}")


@dataclass(frozen=True, slots=True)
class ParserRun:
    """The end of one run: exit status, what was asked for, and everything that was printed, shortened."""

    status: int
    answer: str
    words: str


class Parser:
    """Runs apparmor_parser. ``timeout`` in seconds; a profile of thousands of rules takes a few."""

    def __init__(
        self, program: str = "apparmor_parser", base: Path = Path("/etc/apparmor.d"), timeout: float = 60.0
    ) -> None:
        self._program = program
        self._base = base
        self._timeout = timeout

    def path(self) -> str | None:
        """The program's path, None when it is not installed."""
        return shutil.which(self._program, path=_SEARCH_PATH) or shutil.which(self._program)

    def version(self) -> tuple[int, int]:
        """Major and minor version.

        Raises:
            AppArmorError: the parser is missing or says something else.
        """
        run = self.run(["--version"])
        found = _VERSION.search(run.words)
        if run.status != 0 or found is None:
            raise AppArmorError(f"apparmor_parser --version: expected a version, found {run.words!r}")
        return int(found.group(1)), int(found.group(2))

    def abi_files(self) -> tuple[str, ...]:
        """Names of the ABI files that profiles may refer to (``abi <abi/3.0>,``), oldest first."""
        directory = self._base / "abi"
        if not directory.is_dir():
            return ()
        names = (entry.name for entry in directory.iterdir() if entry.is_file())
        return tuple(sorted(name for name in names if re.fullmatch(r"\d+\.\d+", name)))

    def check(self, name: str, text: str) -> list[str]:
        """Compile a text without loading it; the parser's warnings.

        Raises:
            AppArmorTextError: it does not compile.
            AppArmorError: it declares other profiles than ``name`` (which would be loaded too).
        """
        run = self.run(["--skip-kernel-load", "--skip-cache", _STDIN], text)
        if run.status != 0:
            raise AppArmorTextError(name, run.words, text)
        declared = self.run(["--names", _STDIN], text)
        foreign = [line for line in declared.answer.splitlines() if line != name and not line.startswith(f"{name}//")]
        if declared.status == 0 and foreign:
            raise AppArmorError(f"AppArmor profile {name}: the text declares another profile, {foreign[0]!r}")
        return [line for line in run.words.splitlines() if line.startswith("Warning")]

    def load(self, name: str, text: str, path: Path) -> None:
        """Load ``path`` (which holds ``text``) into the kernel, replacing the profile of that name atomically.

        Raises:
            AppArmorTextError: the parser or the kernel refused; what was loaded before is still in force.
        """
        run = self.run(["--replace", "--skip-cache", str(path)])
        if run.status != 0:
            raise AppArmorTextError(name, run.words.replace(str(path), name), text, file=name)

    def run(self, arguments: list[str], text: str | None = None) -> ParserRun:
        """Run the parser with ``text`` on its standard input.

        Raises:
            AppArmorError: it is missing, or did not end in time.
        """
        program = self.path()
        if program is None:
            raise AppArmorError("apparmor_parser is not installed; install the package `apparmor`")
        try:
            done = subprocess.run(
                [program, *arguments],
                input=text or "",
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout,
                check=False,
                env={"PATH": _SEARCH_PATH, "LC_ALL": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired as error:
            raise AppArmorError(f"apparmor_parser did not end within {self._timeout:g} s") from error
        except OSError as error:
            raise AppArmorError(f"{program}: {error.strerror}") from error
        words = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
        return ParserRun(done.returncode, done.stdout, words[:_LONGEST_REPORT])
