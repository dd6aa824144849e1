#!/usr/bin/env python3
"""Brings the programs of manifest.json into a folder: Windows programs that nobody here wrote, and what they are
compared with. They are not part of this repository.

Each package comes by `npm pack` from the registry that npm is set up for, is checked against the manifest's
checksum, and kept in $XDG_CACHE_HOME/bobbin/real/; only the files that the manifest names are unpacked.

  fetch.py FOLDER    FOLDER/<package>/<file>; exit code 77 if a package cannot be had, which is no failure of ours
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bobbin" / "real"
UNAVAILABLE = 77
INSIDE = "package/"  # npm puts everything below it


def unavailable(why):
    print(f"fetch: {why}", file=sys.stderr)
    raise SystemExit(UNAVAILABLE)


def checksum(path):
    return hashlib.sha512(path.read_bytes()).hexdigest()


def archive(entry):
    """The package's archive in the cache, downloaded if it is not there."""
    kept = CACHE / f"{entry['sha512']}.tgz"
    if kept.exists() and checksum(kept) == entry["sha512"]:
        return kept
    if not shutil.which("npm"):
        unavailable("npm is not installed")
    name = f"{entry['package']}@{entry['version']}"
    print(f"fetch: {name}", file=sys.stderr)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        packed = subprocess.run(["npm", "pack", "--silent", name], cwd=scratch, stdout=subprocess.PIPE, text=True)
        arrived = next(Path(scratch).glob("*.tgz"), None)
        if packed.returncode != 0 or arrived is None:
            unavailable(f"npm cannot get {name}")
        if checksum(arrived) != entry["sha512"]:
            raise SystemExit(f"fetch: {name} is not the file that the manifest means")
        arrived.replace(kept)  # at once, so that an interrupted or concurrent run leaves nothing half done
    return kept


def unpack(entry, folder):
    done = folder / ".checksum"
    wanted = entry["sha512"] + " " + " ".join(entry["files"])
    if done.exists() and done.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = [INSIDE + name for name in entry["files"]]
    with tarfile.open(archive(entry)) as tar:
        for member in tar:
            if member.isfile() and any(member.name == name or member.name.startswith(name + "/") for name in names):
                member.name = member.name.removeprefix(INSIDE)
                member.mode |= 0o755 if Path(member.name).suffix in ("", ".exe") else 0o644
                tar.extract(member, folder)
    missing = [name for name in entry["files"] if not (folder / name).exists()]
    if missing:
        raise SystemExit(f"fetch: {entry['package']} has no {', '.join(missing)}")
    done.write_text(wanted)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    for entry in json.loads((HERE / "manifest.json").read_text()):
        unpack(entry, Path(sys.argv[1]) / entry["package"])


if __name__ == "__main__":
    main()
