// What has happened within a while, from totals that only grow.

const KEPT_MAX = 240; // two minutes of frames

export class Slopes {
  #points = [];

  // `totals` are arrays or numbers by name. Smaller than before: the router began anew.
  add(at, totals) {
    this.#points.push([at, totals]);
    if (this.#points.length > KEPT_MAX) this.#points.shift();
  }

  // How much a total has grown within the last `seconds`, and in how many.
  grown(read, seconds) {
    const last = this.#points.at(-1);
    if (!last) return { by: 0, in: 0 };
    const first = this.#points.find(([at]) => last[0] - at <= seconds);
    return { by: Math.max(0, read(last[1]) - read(first[1])), in: last[0] - first[0] };
  }

  perSecond(read, seconds) {
    const { by, in: took } = this.grown(read, seconds);
    return took > 0 ? by / took : 0;
  }
}
