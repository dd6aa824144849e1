"""Draws the TLS suite's chart: three panels, both axes logarithmic, one line for each system."""

import math

WIDTH, HEIGHT, LEFT, TOP = 340, 260, 62, 40
COLOURS = {"bobbin": "#0b6e4f", "swap": "#e08e0b", "wine": "#a4243b", "native": "#6c757d"}
NAMES = {"bobbin": "Bobbin", "swap": "Bobbin, swap", "wine": "Wine", "native": "native"}

# title, what grows, and the rows: x -> name
PANELS = (
    ("load of a 64 B DLL", "threads alive", {n: f"load.{n}" for n in (1, 10, 100, 1000, 4000, 10000)}),
    ("create + join, 64 B each", "TLS DLLs", {1: "birth.64.1.0", 10: "birth.64.10.0", 100: "birth.64.100.0"}),
    ("create + join, 100 DLLs", "bytes of template", {s: f"birth.{s}.100.0" for s in (64, 65536, 4194304)}),
)


def short(value, steps):
    for unit, size in steps:
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def ticks(low, high):
    return [10.0 ** e for e in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


class Panel:
    def __init__(self, number, title, grows, lines):
        self.x0, self.title, self.grows, self.lines = LEFT + number * (WIDTH + LEFT + 20), title, grows, lines
        xs = [x for line in lines.values() for x, _ in line]
        ys = [y for line in lines.values() for _, y in line]
        self.x_range = (min(xs), max(xs))
        self.y_range = (10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys)) + 0.01))

    @staticmethod
    def along(value, bounds, length):
        low, high = map(math.log10, bounds)
        return (math.log10(value) - low) / (high - low or 1) * length

    def x(self, value):
        return self.x0 + self.along(value, self.x_range, WIDTH)

    def y(self, value):
        return TOP + HEIGHT - self.along(value, self.y_range, HEIGHT)

    def draw(self):
        yield f'<text x="{self.x0}" y="{TOP - 14}" class="title">{self.title}</text>'
        yield f'<text x="{self.x0 + WIDTH}" y="{TOP + HEIGHT + 34}" text-anchor="end">{self.grows}</text>'
        for value in ticks(*self.y_range):
            y = self.y(value)
            label = short(value, (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1)))
            yield f'<path d="M{self.x0} {y:.1f}h{WIDTH}" class="grid"/>'
            yield f'<text x="{self.x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        for value in sorted({x for line in self.lines.values() for x, _ in line}):
            label = short(value, (("Mi", 1 << 20), ("Ki", 1 << 10))) if value > 10000 else f"{value}"
            yield f'<text x="{self.x(value):.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{label}</text>'
        for system, line in self.lines.items():
            points = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in line)
            yield f'<polyline points="{points}" stroke="{COLOURS[system]}"/>'
            for x, y in line:
                yield f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3" fill="{COLOURS[system]}"/>'


def draw(path, rows, systems):
    medians = {(row["name"], system): cell["median"] for row in rows for system, cell in row["systems"].items()}
    panels = []
    for title, grows, names in PANELS:
        lines = {s: [(x, medians[n, s]) for x, n in names.items() if medians.get((n, s), 0) > 0] for s in systems}
        lines = {system: line for system, line in lines.items() if line}
        if lines:
            panels.append(Panel(len(panels), title, grows, lines))
    if not panels:
        return
    width, height = len(panels) * (WIDTH + LEFT + 20) + 20, TOP + HEIGHT + 70
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
           "<style>text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:14px}.grid{stroke:#ddd}"
           "polyline{fill:none;stroke-width:2}</style>", f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for panel in panels:
        out += panel.draw()
    for i, system in enumerate(s for s in systems if any(s in panel.lines for panel in panels)):
        x = LEFT + i * 130
        out.append(f'<rect x="{x}" y="{height - 22}" width="12" height="12" fill="{COLOURS[system]}"/>'
                   f'<text x="{x + 18}" y="{height - 12}">{NAMES[system]}</text>')
    path.write_text("\n".join([*out, "</svg>"]) + "\n")
