// Percentiles over time, on a logarithmic scale: a breached objective and a fast day on one sheet.

import { clock, make, span } from "./format.js";

const WINDOW_S = 900;
const PAD = { left: 46, right: 10, top: 8, bottom: 20 };
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

// A site has one colour everywhere: water at home, warm ones where it is rented.
export function tone(index, kind, dark) {
  const hue = kind === "home" ? 190 + index * 9 : (28 + index * 47) % 360;
  return `hsl(${hue} ${dark ? 68 : 72}% ${dark ? 66 : 34}%)`;
}

export class Charts {
  constructor() {
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => this.rebuild());
    this.samples = [];
    this.picked = null;
    this.percentile = 1;
    this.canvases = [
      { canvas: document.getElementById("ttft-chart"), first: 0, key: "ttft_s", name: "Time to first token" },
      { canvas: document.getElementById("itl-chart"), first: 2, key: "itl_s", name: "Time between tokens" },
    ];
    for (const { canvas } of this.canvases) new ResizeObserver(() => this.draw()).observe(canvas);
    document.getElementById("percentile").addEventListener("change", (event) => {
      this.percentile = Number(event.target.value);
      this.draw();
    });
    document.getElementById("chart-class").addEventListener("change", () => this.draw());
  }

  build(hello) {
    this.sites = hello.sites;
    this.classes = hello.classes;
    this.samples = hello.history;
    this.rebuild();
  }

  rebuild() {
    if (!this.sites) return;
    const nth = { home: 0, rented: 0 };
    this.tones = this.sites.map((site) => tone(nth[site.kind]++, site.kind, this.dark.matches));
    const legend = document.getElementById("chart-legend");
    legend.replaceChildren(
      ...this.sites.map((site, index) => {
        const swatch = make("i", { class: "swatch line", "aria-hidden": "true" });
        swatch.style.background = this.tones[index];
        const button = make("button", { type: "button", "aria-pressed": `${this.picked === index}` }, swatch, site.name);
        button.addEventListener("click", () => this.pick(this.picked === index ? null : index));
        return make("li", {}, button);
      }),
    );
    this.draw();
  }

  pick(index) {
    this.picked = index;
    const buttons = document.querySelectorAll("#chart-legend button");
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", `${at === index}`));
    this.draw();
  }

  add(frame) {
    if (!frame.sampled || this.samples.at(-1)?.[0] >= frame.at) return;
    this.samples.push([frame.at, frame.sites.map((site) => site.latency)]);
    while (this.samples[0][0] < frame.at - WINDOW_S) this.samples.shift();
    this.draw();
  }

  draw() {
    if (!this.sites) return;
    const chosen = document.getElementById("chart-class").value;
    const objective = this.classes.find((one) => one.name === chosen) ?? this.classes[0];
    for (const chart of this.canvases) this.drawOne(chart, objective[chart.key]);
  }

  drawOne({ canvas, first, name }, objective) {
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!width) return;
    const scale = Math.min(2, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const which = first + this.percentile;
    let low = objective / 20;
    let high = objective * 2.5;
    for (const [, sites] of this.samples) {
      for (const figures of sites) {
        const value = figures[which];
        if (value > 0) {
          low = Math.min(low, value / 1.3);
          high = Math.max(high, value * 1.3);
        }
      }
    }
    const end = this.samples.at(-1)?.[0] ?? Date.now() / 1000;
    const begin = Math.max(end - WINDOW_S, Math.min(this.samples[0]?.[0] ?? end, end - 60));
    const x = (at) => PAD.left + ((at - begin) / (end - begin)) * (width - PAD.left - PAD.right);
    const depth = Math.log(high / low);
    const y = (value) => PAD.top + (Math.log(high / value) / depth) * (height - PAD.top - PAD.bottom);
    this.drawSheet(pen, { width, height, low, high, begin, end, y, objective });
    const last = this.drawLines(pen, which, x, y);
    const words = last.map(([site, value]) => `${site} ${span(value)}`).join(", ") || "nothing known yet";
    canvas.setAttribute("aria-label", `${name}, ${this.percentile ? "p99" : "p50"}; objective ${span(objective)}; latest: ${words}`);
  }

  drawSheet(pen, { width, height, low, high, begin, end, y, objective }) {
    const style = getComputedStyle(document.documentElement);
    const [line, quiet, bad] = ["--line", "--quiet", "--bad"].map((one) => style.getPropertyValue(one).trim());
    pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power += 1) {
      const at = Math.round(y(10 ** power)) + 0.5;
      pen.strokeStyle = line;
      pen.beginPath();
      pen.moveTo(PAD.left, at);
      pen.lineTo(width - PAD.right, at);
      pen.stroke();
      pen.fillStyle = quiet;
      pen.textAlign = "right";
      pen.fillText(span(10 ** power).replace(".0", ""), PAD.left - 6, at);
    }
    const limit = y(objective);
    pen.globalAlpha = 0.07;
    pen.fillStyle = bad;
    pen.fillRect(PAD.left, PAD.top, width - PAD.left - PAD.right, Math.max(0, limit - PAD.top));
    pen.globalAlpha = 1;
    pen.strokeStyle = bad;
    pen.setLineDash([5, 4]);
    pen.beginPath();
    pen.moveTo(PAD.left, limit);
    pen.lineTo(width - PAD.right, limit);
    pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = bad;
    pen.textAlign = "left";
    pen.fillText(`objective ${span(objective)}`, PAD.left + 5, limit - 8);
    pen.fillStyle = quiet;
    pen.fillText(clock(begin), PAD.left, height - 8);
    pen.textAlign = "right";
    pen.fillText(clock(end), width - PAD.right, height - 8);
  }

  drawLines(pen, which, x, y) {
    const last = [];
    this.sites.forEach((site, index) => {
      pen.strokeStyle = this.tones[index];
      pen.lineWidth = this.picked === index ? 3 : 1.8;
      pen.globalAlpha = this.picked === null || this.picked === index ? 1 : 0.18;
      pen.setLineDash(DASHES[Math.floor(index / 8) % DASHES.length]);
      pen.lineJoin = "round";
      pen.beginPath();
      let drawing = false;
      let value = 0;
      for (const [at, sites] of this.samples) {
        value = sites[index]?.[which] ?? 0;
        if (!(value > 0)) drawing = false;
        else if (drawing) pen.lineTo(x(at), y(value));
        else {
          pen.moveTo(x(at), y(value));
          drawing = true;
        }
      }
      pen.stroke();
      if (value > 0) last.push([site.name, value]);
    });
    pen.globalAlpha = 1;
    pen.setLineDash([]);
    return last;
  }
}
