// Curves over the last minutes, as SVG: a figure for each, one or two lines in it.

const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 120; // samples, one a second

export class Curve {
  // lines: [{name, of}], where `of` takes a sample and gives a number or null
  constructor(parent, title, unit, lines, digits = 1) {
    Object.assign(this, {title, unit, lines, digits});
    this.figure = element(parent, "figure", "curve");
    const caption = element(this.figure, "figcaption");
    element(caption, "b").textContent = unit ? `${title}, ${unit}` : title;
    const plot = element(this.figure, "div", "plot");
    const axis = element(plot, "div", "axis");
    [this.top, this.middle, this.bottom] = [0, 1, 2].map(() => element(axis, "span"));
    this.svg = plot.appendChild(document.createElementNS(SVG, "svg"));
    this.svg.setAttribute("viewBox", `0 0 ${SHOWN - 1} 100`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    this.span = element(plot, "div", "span");
    this.drawn = lines.map((line, index) => {
      const style = index ? "second" : "first";
      if (lines.length > 1) element(caption, "span", `key ${style}`).textContent = line.name;
      const polyline = this.svg.appendChild(document.createElementNS(SVG, "polyline"));
      polyline.setAttribute("class", style);
      return polyline;
    });
  }

  draw(samples) {
    const shown = samples.slice(-SHOWN);
    const values = this.lines.map((line) => shown.map(line.of));
    const known = values.flat().filter((value) => value !== null && value !== undefined);
    const top = roundedUp(Math.max(0, ...known));
    this.top.textContent = top.toLocaleString("en", {maximumFractionDigits: 2});
    this.middle.textContent = (top / 2).toLocaleString("en", {maximumFractionDigits: 2});
    this.bottom.textContent = "0";
    this.span.textContent = shown.length > 1 ? `last ${Math.round(shown.at(-1).at_s - shown[0].at_s)} s` : "";
    this.drawn.forEach((polyline, index) => {
      const left = SHOWN - shown.length; // the newest stands at the right edge
      const points = values[index]
        .map((value, at) => (value === null || value === undefined ? "" : `${left + at},${100 - (100 * value) / top}`))
        .filter(Boolean);
      polyline.setAttribute("points", points.join(" "));
    });
    const now = this.lines.map((line, index) => {
      const value = values[index].at(-1);
      return `${line.name} ${value === null || value === undefined ? "unknown" : value.toFixed(this.digits)}`;
    });
    this.svg.setAttribute("aria-label", `${this.title} over time, ${this.unit}: now ${now.join(", ")}`);
  }
}

// 1, 2 or 5 times a power of ten, above the value
function roundedUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value * 1.02));
  return [1, 2, 5, 10].map((step) => step * power).find((limit) => limit >= value * 1.02);
}

export function element(parent, name, style = "") {
  const made = document.createElement(name);
  if (style) made.className = style;
  return parent.appendChild(made);
}
