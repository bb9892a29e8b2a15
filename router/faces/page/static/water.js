// The channels between the router and its sites, and a drop for each turn that flows in them.

const DROPS_MAX = 400;
const DROPS_PER_FRAME_MAX = 8; // of one site and flow; a bigger drop stands for several turns
const FLIGHT_MS = 1100;
const DRAW_MS = 30; // half of a screen's frames: drops are small, and what lies under them is not
const FLOWS = ["settled", "overflow", "returned", "resumed"];

// The corners of the way from the hub to a basin: along the trunk, then through the gap above it.
function way(hub, box, bank, stacked) {
  const left = stacked || box.left > hub.left;
  const trunk = stacked ? bank.left - 14 : left ? bank.left - 32 : bank.right + 32;
  const edge = left ? box.left : box.right;
  const start = stacked
    ? [[hub.left + 24, hub.bottom], [hub.left + 24, hub.bottom + 6], [trunk, hub.bottom + 6]]
    : [[left ? hub.right : hub.left, (hub.top + hub.bottom) / 2], [trunk, (hub.top + hub.bottom) / 2]];
  const level = start.at(-1)[1];
  const centre = (box.top + box.bottom) / 2;
  const middle = !stacked && Math.abs(centre - level) < 30 ? level : centre; // straight on
  if (Math.abs(edge - trunk) < 40) return [...start, [trunk, middle], [edge, middle]];
  const gap = box.top - 11;
  const gutter = left ? box.left - 15 : box.right + 15;
  return [...start, [trunk, gap], [gutter, gap], [gutter, middle], [edge, middle]];
}

function measured(points) {
  const lengths = [0];
  for (let index = 1; index < points.length; index += 1) {
    const [x, y] = points[index];
    const [fromX, fromY] = points[index - 1];
    lengths.push(lengths[index - 1] + Math.hypot(x - fromX, y - fromY));
  }
  return { points, lengths, total: lengths.at(-1) };
}

function along(path, part) {
  const at = part * path.total;
  let index = 1;
  while (index < path.lengths.length - 1 && path.lengths[index] < at) index += 1;
  const from = path.lengths[index - 1];
  const within = Math.min(1, (at - from) / (path.lengths[index] - from || 1));
  const [x, y] = path.points[index];
  const [fromX, fromY] = path.points[index - 1];
  return [fromX + (x - fromX) * within, fromY + (y - fromY) * within];
}

export class Water {
  constructor(stage) {
    this.stage = stage;
    this.channels = document.getElementById("channels");
    this.surface = document.getElementById("water");
    this.drops = [];
    this.paths = [];
    this.places = [];
    this.running = false;
    this.drawn = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    new ResizeObserver(() => this.layOut()).observe(stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.layOut());
  }

  build(places) {
    this.places = places;
    this.layOut();
  }

  layOut() {
    const frame = this.stage.getBoundingClientRect();
    this.scale = Math.min(2, devicePixelRatio || 1);
    this.size = [frame.width, frame.height];
    for (const canvas of [this.channels, this.surface]) {
      const size = [Math.round(frame.width * this.scale), Math.round(frame.height * this.scale)];
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
      canvas.style.width = `${frame.width}px`;
      canvas.style.height = `${frame.height}px`;
    }
    const inside = (element) => {
      const box = element.getBoundingClientRect();
      return { left: box.left - frame.left, right: box.right - frame.left, top: box.top - frame.top, bottom: box.bottom - frame.top };
    };
    const hub = inside(document.getElementById("hub"));
    const stacked = getComputedStyle(this.stage).gridTemplateColumns.split(" ").length === 1;
    this.paths = this.places.map((place) => {
      const bank = inside(place.node.parentElement);
      return measured(way(hub, inside(place.node), bank, stacked));
    });
    this.drawChannels();
  }

  colours() {
    const style = getComputedStyle(document.documentElement);
    const names = [...FLOWS, "channel", "bad"];
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  drawChannels() {
    const colours = this.colours();
    this.tones = FLOWS.map((name) => colours[name]);
    const pen = this.channels.getContext("2d");
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    pen.clearRect(0, 0, ...this.size);
    pen.lineJoin = "round";
    this.paths.forEach((path, index) => {
      const place = this.places[index];
      const down = place.node.dataset.state === "down";
      pen.strokeStyle = down ? colours.bad : colours.channel;
      pen.lineWidth = down ? 2 : 6;
      pen.setLineDash(down ? [3, 7] : []);
      pen.beginPath();
      pen.moveTo(...path.points[0]);
      for (let at = 1; at < path.points.length - 1; at += 1) {
        pen.arcTo(...path.points[at], ...path.points[at + 1], 12);
      }
      pen.lineTo(...path.points.at(-1));
      pen.stroke();
    });
  }

  // `flows`: for each site the turns since the last frame, by flow; `ms`: the time they took.
  pour(flows, ms) {
    if (this.still.matches || document.hidden) return;
    const now = performance.now();
    flows.forEach((counts, site) => {
      counts.forEach((turns, flow) => {
        const drops = Math.min(turns, DROPS_PER_FRAME_MAX);
        for (let index = 0; index < drops && this.drops.length < DROPS_MAX; index += 1) {
          const radius = Math.min(6.5, 2.6 * Math.sqrt(turns / drops));
          this.drops.push({ site, flow, radius, begins: now + ((index + Math.random()) / drops) * ms });
        }
      });
    });
    if (!this.running && this.drops.length) {
      this.running = true;
      requestAnimationFrame((at) => this.draw(at));
    }
  }

  draw(now) {
    this.running = this.drops.length > 0;
    if (this.running) requestAnimationFrame((at) => this.draw(at));
    if (this.running && now - this.drawn < DRAW_MS) return;
    this.drawn = now;
    const pen = this.surface.getContext("2d");
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    pen.clearRect(0, 0, ...this.size);
    this.drops = this.drops.filter((drop) => now - drop.begins < FLIGHT_MS);
    FLOWS.forEach((_, flow) => {
      pen.beginPath(); // all drops of a colour at once
      for (const drop of this.drops) {
        const part = (now - drop.begins) / FLIGHT_MS;
        const path = this.paths[drop.site];
        if (drop.flow !== flow || part <= 0 || !path) continue;
        // A turn flows from the router to its site; a session that returns is seen coming home.
        const [x, y] = along(path, part * part * (3 - 2 * part));
        pen.moveTo(x + drop.radius, y);
        pen.arc(x, y, drop.radius, 0, 7);
      }
      pen.fillStyle = this.tones[flow];
      pen.fill();
    });
  }
}
