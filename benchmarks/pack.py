"""Packs what a machine without a network needs, in small pieces, and unpacks it there.

Into a folder: this checkout (what git tracks), the packages that it needs, at the versions that are
installed here, and a model. torch is left out, since it has to suit the machine's GPU. The folder
also gets this script, which needs nothing but Python:

    python benchmarks/pack.py pack OUT [--model FOLDER] [--python 3.12] [--extras lora,bench]
    python OUT/pack.py unpack OUT TARGET        # on the other machine; it says how to go on
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import IO, cast

PIECE = 60_000_000
"""Bytes of a piece."""

ABSENT = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
"""Packages that belong to the other machine's GPU."""

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any")

GO_ON = """unpacked: {target}
next: python -m venv --system-site-packages {target}/venv
      {target}/venv/bin/pip install --no-index --no-deps {target}/wheels/*.whl
      cd {target}/checkout && PYTHONPATH=src {target}/venv/bin/python benchmarks/gpu.py {model}"""


class Pieces:
    """A stream that is written to files of a limited size, and their digests."""

    def __init__(self, folder: Path, size: int) -> None:
        """Begins with no file in ``folder``."""
        self.digests: dict[str, str] = {}
        self._folder, self._size = folder, size
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        """Takes bytes on."""
        self._held += data
        if len(self._held) >= self._size:
            self._flush(self._size)
        return len(data)

    def close(self) -> None:
        """Writes what is left."""
        if self._held:
            self._flush(len(self._held))

    def _flush(self, count: int) -> None:
        data, self._held = bytes(self._held[:count]), self._held[count:]
        name = f"piece-{len(self.digests):04}.bin"
        (self._folder / name).write_bytes(data)
        self.digests[name] = hashlib.sha256(data).hexdigest()


def joined(folder: Path, digests: dict[str, str], target: IO[bytes]) -> None:
    """Writes the stream again, piece by piece, each checked before.

    Raises:
        SystemExit: A piece is missing or damaged; its name is said.
    """
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise SystemExit(f"{path} is missing; copy it again")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise SystemExit(f"{path} is not what was packed; copy it again")
        target.write(data)


def pack(out: Path, checkout: Path, model: Path | None, wheels: Path, size: int) -> int:
    """Writes the pieces, what they are, and this script.

    Args:
        out: A folder; what an earlier call left in it goes.
        checkout: Its tracked files are packed.
        model: A folder.
        wheels: A folder of packages; may be empty.
        size: Bytes of a piece.

    Returns:
        How many pieces there are.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("piece-*.bin"):
        old.unlink()
    pieces = Pieces(out, size)
    with tarfile.open(fileobj=cast("IO[bytes]", pieces), mode="w|") as archive:
        for name in tracked(checkout):
            archive.add(checkout / name, f"checkout/{name}", recursive=False)
        for folder, inside in ((wheels, "wheels"), (model, "model")):
            if folder is None:
                continue
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.add(path.resolve(), f"{inside}/{path.relative_to(folder)}")
    pieces.close()
    (out / "pieces.json").write_text(json.dumps(pieces.digests, indent=1) + "\n")
    shutil.copyfile(__file__, out / "pack.py")
    return len(pieces.digests)


def unpack(source: Path, target: Path) -> None:
    """Checks and extracts what ``pack`` wrote; as ``joined`` raises."""
    digests = json.loads((source / "pieces.json").read_text())
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=target) as whole:
        joined(source, digests, whole)
        whole.seek(0)
        with tarfile.open(fileobj=whole) as archive:
            archive.extractall(target, filter="data")


def tracked(checkout: Path) -> list[str]:
    """Names of the files that git tracks and that are there."""
    listed = subprocess.run(
        ["git", "-C", str(checkout), "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout.split("\0")
    return [name for name in listed if name and (checkout / name).is_file()]


def needed(package: str, extras: Sequence[str]) -> dict[str, str]:
    """Versions installed here of everything that a package needs, but for ``ABSENT``."""
    found: dict[str, str] = {}
    waiting = [(package, frozenset(extras))]
    seen = set(waiting)
    while waiting:
        name, wanted = waiting.pop()
        for requirement in metadata.requires(name) or ():
            for further in _asked(requirement, wanted):
                if further not in seen and not ABSENT.fullmatch(further[0]):
                    seen.add(further)
                    waiting.append(further)
                    found[further[0]] = _installed(further[0])
    return found


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError as error:
        raise SystemExit(f"{name} is needed and not installed here: pip install {name}") from error


def _asked(text: str, extras: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """The package that a requirement names, where it holds with any of the extras or with none."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    requirement = Requirement(text)
    marker = requirement.marker
    if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
        yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def download(versions: dict[str, str], python: str, folder: Path) -> None:
    """Fetches wheels for another Python."""
    for name, version in sorted(versions.items()):
        subprocess.run(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                "--only-binary", ":all:", "--python-version", python,
                *(part for platform in PLATFORMS for part in ("--platform", platform)),
                "--dest", str(folder), f"{name}=={version}",
            ],
            check=True,
        )  # fmt: skip


def main() -> None:
    """Packs or unpacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="fill a folder")
    packing.add_argument("out", type=Path)
    packing.add_argument("--model", type=Path, help="a folder of weights")
    packing.add_argument("--python", default="3.12", help="version on the other machine")
    packing.add_argument("--extras", default="lora", help="of the package, separated by commas")
    packing.add_argument("--no-wheels", action="store_true", help="the packages are there already")
    unpacking = commands.add_parser("unpack", help="make a folder of what was packed")
    unpacking.add_argument("source", type=Path)
    unpacking.add_argument("target", type=Path)
    options = parser.parse_args()
    if options.command == "unpack":
        unpack(options.source, options.target)
        model = options.target / "model"
        shown = model if model.is_dir() else "MODEL"
        print(GO_ON.format(target=options.target.resolve(), model=shown))
        return
    with tempfile.TemporaryDirectory() as scratch:
        wheels = Path(scratch)
        if not options.no_wheels:
            download(needed("alive-rl", options.extras.split(",")), options.python, wheels)
        checkout = Path(__file__).resolve().parents[1]
        count = pack(options.out, checkout, options.model, wheels, PIECE)
    print(f"written: {options.out}, {count} pieces of at most {PIECE // 1_000_000} MB")


if __name__ == "__main__":
    main()
