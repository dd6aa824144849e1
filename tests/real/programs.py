"""The Windows programs of tests/real that have native twins, and the input that tests and `./dev bench real` give them."""

import re

# name -> (the Windows program, its native build), below the folder that fetch.py fills
PROGRAMS = {
    "esbuild": ("@esbuild/win32-x64/esbuild.exe", "@esbuild/linux-x64/bin/esbuild"),
    "biome": ("@biomejs/cli-win32-x64/biome.exe", "@biomejs/cli-linux-x64/biome"),
    "ast_grep": ("@ast-grep/cli-win32-x64-msvc/ast-grep.exe", "@ast-grep/cli-linux-x64-gnu/ast-grep"),
    "seven_zip": ("7zip-bin/win/x64/7za.exe", "7zip-bin/linux/x64/7za"),
}

BUNDLE = ("--bundle", "--minify", "--sourcemap", "--format=esm", "entry.js", "--outfile=out.js", "--external:three",
          "--external:three/*", "--log-limit=0", "--log-level=warning")


def modules_to_bundle(three):
    """The modules of three.js that entry.js names: eight megabytes."""
    return sorted(str(p.relative_to(three)) for folder in ("src", "examples/jsm") for p in (three / folder).rglob("*.js")
                  if not re.search("jsm/(libs|offscreen)", str(p)))


def entry_of(modules):
    return "".join(f'export * as m{i} from "./{name}";\n' for i, name in enumerate(modules))


def as_on_linux(output):
    """Output without what must differ: separators of paths, times, line ends."""
    text = output.decode().replace("\r\n", "\n").replace("\\", "/")
    return re.sub(r"\b\d+(\.\d+)?\s?(ns|µs|ms|s)\b", "TIME", text).encode()


def in_any_order(output):
    """Likewise, lines sorted: threads report what they find when they find it."""
    return b"\n".join(sorted(as_on_linux(output).split(b"\n")))
