"""Three small plots over the number of nodes, as SVG: time to agree, bytes, CPU of one node."""
import math
import sys

PANELS = [('all know after (ms)', 3), ('bytes per node and second', 4), ('% of a core per node', 8)]
COLOURS = {'rumour': '#c0392b', 'ring': '#2471a3', 'both': '#1e8449'}
WIDTH, HEIGHT, MARGIN = 300, 240, 46


def scale(values):
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return low, high if high > low else low + 1


def panel(rows, title, column, left):
    points = [(float(r[0]), max(float(r[column]), 1e-4), r[1]) for r in rows]
    xs, ys = scale([p[0] for p in points]), scale([p[1] for p in points])

    def place(x, y):
        across = (math.log10(x) - xs[0]) / (xs[1] - xs[0])
        up = (math.log10(y) - ys[0]) / (ys[1] - ys[0])
        return left + MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    out = [f'<text x="{left + WIDTH / 2}" y="20" text-anchor="middle">{title}</text>']
    for power in range(ys[0], ys[1] + 1):
        x, y = place(10 ** xs[0], 10 ** power)
        out.append(f'<path d="M{x:.0f} {y:.0f}h{WIDTH - 2 * MARGIN}" stroke="#ddd"/>')
        out.append(f'<text x="{x - 4:.0f}" y="{y + 4:.0f}" text-anchor="end">{10 ** power:g}</text>')
    for nodes in sorted({p[0] for p in points}):
        x, y = place(nodes, 10 ** ys[0])
        out.append(f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle">{nodes:.0f}</text>')
    for i, (mode, colour) in enumerate(COLOURS.items()):
        line = [place(x, y) for x, y, of in points if of == mode]
        if line:
            path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in line)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{left + MARGIN + 60 * i}" y="{HEIGHT - 6}" fill="{colour}">{mode}</text>')
    return out


def main():
    rows = [line.split() for line in sys.stdin if line.strip()]
    size = f'width="{WIDTH * len(PANELS)}" height="{HEIGHT}"'
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
           f'<rect {size} fill="white"/>']
    for i, (title, column) in enumerate(PANELS):
        out += panel(rows, title, column, i * WIDTH)
    with open(sys.argv[1], 'w', encoding='utf-8') as file:
        file.write('\n'.join(out + ['</svg>']) + '\n')


main()
