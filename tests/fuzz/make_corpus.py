#!/usr/bin/env python3
"""Writes seeds for the PE fuzzer: many tiny PE files, right ones and odd ones, into a folder.

The fuzzer changes bytes; what it cannot invent is structure. So each seed has one structure (a delay import, a
forwarder, a TLS directory with callbacks), and the odd ones have each structure with one thing wrong.

  make_corpus.py FOLDER
"""

import itertools
import struct
import sys
from pathlib import Path

PAGE = 0x1000
READ, WRITE, EXECUTE = 0x40000000, 0x80000000, 0x20000000
EXPORTS, IMPORTS, EXCEPTIONS, RELOCATIONS, TLS, LOAD_CONFIG, DELAY = 0, 1, 3, 5, 9, 10, 13
ORDINAL = 1 << 63


class Blob:
    """A section's content while it is written; positions are RVAs."""

    def __init__(self, rva):
        self.start, self.data = rva, bytearray()

    @property
    def rva(self):
        return self.start + len(self.data)

    def put(self, form, *values):
        at = self.rva
        self.data += struct.pack("<" + form, *values)
        return at

    def text(self, value):
        at = self.rva
        self.data += value.encode() + b"\0"
        return at

    def align(self, to):
        self.data += bytes(-len(self.data) % to)

    def patch(self, at, form, *values):
        struct.pack_into("<" + form, self.data, at - self.start, *values)


class Image:
    """Collects sections and directories; build() makes the file. Header fields may be overridden by name."""

    def __init__(self, **fields):
        self.fields = dict(machine=0x8664, magic=0x20B, flags=0x2022, base=0x180000000, entry=0, section_alignment=PAGE,
                           file_alignment=512, directories=16, symbols=0, symbol_count=0, pe=0x40) | fields
        self.sections, self.ranges, self.next = [], {}, PAGE

    def section(self, name, flags=READ | WRITE, virtual=0):
        blob = Blob(self.next)
        self.sections.append((name, flags, blob, virtual))
        return blob

    def close(self):
        _, _, blob, virtual = self.sections[-1]
        size = max(virtual or len(blob.data), 1)
        self.next = (self.next + size + PAGE - 1) & -PAGE

    def build(self):
        f = self.fields
        end = f["pe"] + 24 + 112 + 128 + 40 * len(self.sections)
        headers = (end + 511) & -512
        out = bytearray(headers)
        struct.pack_into("<H", out, 0, 0x5A4D)
        struct.pack_into("<I", out, 0x3C, f["pe"])
        struct.pack_into("<IHHIIIHH", out, f["pe"], 0x4550, f["machine"], len(self.sections), 0, f["symbols"],
                         f["symbol_count"], 112 + 128, f["flags"])
        struct.pack_into("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", out, f["pe"] + 24, f["magic"], 14, 0, 0, 0, 0, f["entry"], PAGE,
                         f["base"], f["section_alignment"], f["file_alignment"], 6, 0, 0, 0, 6, 0, 0,
                         f.get("size", self.next), headers, 0, 3, 0, 1 << 20, PAGE, 1 << 20, PAGE, 0, f["directories"])
        for index, (rva, size) in self.ranges.items():
            struct.pack_into("<II", out, f["pe"] + 24 + 112 + 8 * index, rva, size)
        at = f["pe"] + 24 + 112 + 128
        for name, flags, blob, virtual in self.sections:
            raw = bytes(blob.data) + bytes(-len(blob.data) % 512)
            struct.pack_into("<8sIIIIIIHHI", out, at, name.encode()[:8], virtual or len(blob.data), blob.start, len(raw),
                             len(out) if raw else 0, 0, 0, 0, 0, flags)
            out += raw
            at += 40
        return bytes(out)


def thunks(blob, symbols):
    values = [ORDINAL | s if isinstance(s, int) else None for s in symbols]
    for i, symbol in enumerate(symbols):
        if values[i] is None:
            values[i] = blob.put("H", 3)
            blob.text(symbol)
    blob.align(8)
    return values


def table(blob, values):
    return blob.put(f"{len(values) + 1}Q", *values, 0)


def add_imports(image, dlls, bound=False, names=True):
    blob = image.section(".idata")
    at = blob.put(f"{20 * (len(dlls) + 1)}x")
    image.ranges[IMPORTS] = (at, 20 * (len(dlls) + 1))
    for i, (dll, symbols) in enumerate(dlls):
        values = thunks(blob, symbols)
        name_table, addresses = table(blob, values), table(blob, values)
        blob.patch(at + 20 * i, "5I", name_table if names else 0, 0xFFFFFFFF if bound else 0, 0, blob.text(dll), addresses)
        blob.align(8)
    image.close()


def add_delay(image, dlls, absolute=False):
    blob = image.section(".didat")
    at = blob.put(f"{32 * (len(dlls) + 1)}x")
    image.ranges[DELAY] = (at, 32 * (len(dlls) + 1))
    base = image.fields["base"] if absolute else 0
    for i, (dll, symbols) in enumerate(dlls):
        values = thunks(blob, symbols)
        fields = [blob.text(dll)]
        blob.align(8)
        fields += [blob.put("Q", 0), table(blob, values), table(blob, values)]
        blob.patch(at + 32 * i, "5I", 0 if absolute else 1, *[(base + field) & 0xFFFFFFFF for field in fields])
    image.close()


def add_exports(image, functions, base=1):
    blob = image.section(".edata", READ)
    at = blob.put("40x")
    addresses = blob.put(f"{4 * len(functions)}x")
    names = []
    for i, (name, target) in enumerate(functions):
        blob.patch(addresses + 4 * i, "I", blob.text(target) if isinstance(target, str) else target)
        if name:
            names.append((blob.text(name), i))
    dll = blob.text("seed.dll")
    name_table = blob.put(f"{len(names)}I", *[name for name, _ in names])
    ordinals = blob.put(f"{len(names)}H", *[i for _, i in names])
    blob.patch(at + 12, "7I", dll, base, len(functions), len(names), addresses, name_table, ordinals)
    image.ranges[EXPORTS] = (at, blob.rva - at)
    image.close()


def add_tls(image, content, callbacks=(), code=0, zero_fill=0, end=True):
    blob = image.section(".tls")
    base = image.fields["base"]
    blob.data += content
    stop = blob.rva
    blob.align(8)
    array = blob.put(f"{len(callbacks)}Q", *[base + rva for rva in callbacks])
    if end:
        blob.put("Q", 0)
    index = blob.put("Q", 0)
    at = blob.put("QQQQII", base + blob.start, base + stop, base + index, base + array if callbacks else 0, zero_fill,
                  code << 20)
    image.ranges[TLS] = (at, 40)
    image.close()


def add_relocations(image, blocks):
    blob = image.section(".reloc", READ)
    for page, entries in blocks:
        blob.put(f"II{len(entries)}H", page, 8 + 2 * len(entries), *entries)
    image.ranges[RELOCATIONS] = (blob.start, len(blob.data))
    image.close()


def add_code(image):
    image.section(".text", READ | EXECUTE).put("16s", b"\xC3" * 16)
    image.close()


def add_symbols(image, names):
    """Appended behind the file: 18-byte records, then the string table."""
    strings, records = bytearray(4), b""
    for name in names:
        if len(name) > 8:
            field = struct.pack("<II", 0, len(strings))
            strings += name.encode() + b"\0"
        else:
            field = name.encode().ljust(8, b"\0")
        records += field + struct.pack("<IHHBB", 4, 1, 0x20, 2, 0)
    struct.pack_into("<I", strings, 0, len(strings))
    image.fields |= dict(symbols=len(image.build()), symbol_count=len(names))
    return image.build() + records + bytes(strings)


def full(**fields):
    image = Image(**fields)
    add_code(image)
    add_imports(image, [("KERNEL32.dll", ["Sleep", 12]), ("m.dll", ["printf"])])
    add_exports(image, [("alpha", PAGE), ("beta", "NTDLL.RtlFree"), (None, PAGE + 8), ("gamma", 0)])
    add_tls(image, b"template", [PAGE, PAGE + 4], code=5)
    add_delay(image, [("late.dll", ["f", 7])])
    add_relocations(image, [(PAGE, [0xA000, 0xA008, 0]), (2 * PAGE, [0x3004, 0x1008, 0x200A, 0])])
    return image


def seeds():
    """Yields (name, bytes)."""
    yield "full", full().build()
    yield "empty", b""
    yield "no_sections", Image().build()
    for machine in (0x14C, 0xAA64, 0xA641, 0x1234):
        yield f"machine_{machine:x}", full(machine=machine).build()
    yield "pe32", full(magic=0x10B, machine=0x14C).build()
    yield "low_alignment", full(section_alignment=512).build()
    yield "tiny_header", full(pe=4 * 16).build()
    for count in (0, 1, 10, 255):
        yield f"directories_{count}", full(directories=count).build()
    for size in (0, 1, PAGE, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"image_size_{size:x}", full(size=size).build()

    for names, bound in itertools.product((True, False), (True, False)):
        image = Image()
        add_imports(image, [("a.dll", ["f", "g", 3]), ("b.dll", [])], bound, names)
        yield f"imports_{names}_{bound}", image.build()
    for absolute in (True, False):
        image = Image(base=0x10000000)
        add_delay(image, [("a.dll", ["f", 3]), ("b.dll", ["g"])], absolute)
        yield f"delay_{absolute}", image.build()
    for name, functions in {
            "sorted": [("a", PAGE), ("b", PAGE), ("c", PAGE)],
            "unsorted": [("c", PAGE), ("a", PAGE), ("b", PAGE)],
            "ordinals": [(None, PAGE)] * 5,
            "forwarders": [("a", "b.c"), ("d", "e.#1"), ("f", "nodot")],
            "gaps": [("a", 0), (None, 0), ("z", 0x7FFFFFFF)],
            "same": [("a", PAGE), ("a", PAGE)],
            "none": []}.items():
        for base in (0, 1, 0xFFFFFFFF):
            image = Image()
            add_exports(image, functions, base)
            yield f"exports_{name}_{base:x}", image.build()
    for code, callbacks, end in itertools.product((0, 1, 14, 15), ((), (PAGE,), (PAGE, 4, 0x7FFFFFFF)), (True, False)):
        image = Image()
        add_tls(image, b"t" * 20, callbacks, code, 64, end)
        yield f"tls_{code}_{len(callbacks)}_{end}", image.build()
    for kind in range(16):
        image = Image()
        add_code(image)
        add_relocations(image, [(PAGE, [kind << 12 | 4, 0]), (0, [0xA010])])
        yield f"relocation_{kind}", image.build()
    image = Image()
    add_relocations(image, [(0xFFFFF000, [0xAFFF]), (PAGE, [])])
    yield "relocation_wrap", image.build()

    image = Image()
    image.section(".data", virtual=8 * PAGE).text("zero-filled behind this")
    image.close()
    add_code(image)
    yield "zero_fill", image.build()
    image = Image()
    config = image.section(".rdata", READ)
    image.ranges[LOAD_CONFIG] = (config.put("I", 0x140), 0x140)
    config.put("196xQ112x", image.fields["base"] + PAGE)
    image.close()
    yield "arm64ec", image.build()
    image = Image()
    add_code(image)
    image.ranges[EXCEPTIONS] = (PAGE, 24)
    yield "symbols", add_symbols(image, ["f", "a_name_that_is_long", "__dyn_tls_init"])


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
