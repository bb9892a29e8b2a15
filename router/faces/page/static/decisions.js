// The last decisions with their reasons, newest first.

import { clock, make, write } from "./format.js";

const SHOWN_MAX = 100;
const OTHERS = { refuse: "refused", wait: "waits" };

function row(decision) {
  const goes = { send: `→ ${decision.site}`, refuse: "refused", wait: "waits" }[decision.action];
  const whose = [decision.session && `session ${decision.session}`, decision.slo].filter(Boolean).join(", ");
  return make(
    "li",
    { "data-flow": decision.flow ?? OTHERS[decision.action] },
    make("time", {}, clock(decision.at)),
    make("span", {}, make("span", { class: "rule" }, `${decision.rule.replaceAll("_", " ")} ${goes}`), make("span", { class: "quiet" }, ` ${whose}`)),
    make("span", { class: "why" }, decision.reason),
  );
}

export class Decisions {
  constructor() {
    this.list = document.getElementById("decisions");
    this.untold = document.getElementById("untold");
    document.getElementById("only-notable").addEventListener("change", (event) => {
      this.list.classList.toggle("notable", event.target.checked);
    });
    this.scrolled = false; // known without asking, which would lay out the page
    this.list.addEventListener("scroll", () => (this.scrolled = this.list.scrollTop > 0), { passive: true });
  }

  build() {
    this.list.replaceChildren();
    this.last = 0;
  }

  add(decisions, decided) {
    const fresh = decisions.filter((one) => one.number > this.last);
    const missed = this.last && decided ? decided - this.last - fresh.length : 0;
    this.last = Math.max(this.last, decided ?? 0, fresh.at(-1)?.number ?? 0);
    write(this.untold, missed > 0 ? `${missed} more in the last half second are not shown.` : "");
    if (!fresh.length) return;
    // Nothing moves under the eyes of somebody who reads further down, or under their keyboard.
    const before = this.scrolled ? this.list.scrollHeight - this.list.scrollTop : 0;
    this.list.prepend(...fresh.reverse().map(row));
    while (this.list.children.length > SHOWN_MAX) this.list.lastChild.remove();
    if (this.scrolled) this.list.scrollTop = this.list.scrollHeight - before;
  }
}
