// The sites as places: a basin each, with what stands in it and what may be done to it.

import { count, make, moment, rate, share, span, until, usd, write } from "./format.js";
import { gauge } from "./gauge.js";
import { Slopes } from "./slopes.js";

const MONEY_S = 60; // money and cache hits are told of the last minute
const FLOW_S = 3;
const FLOWS = ["settled", "overflow", "returned", "resumed"];
// Of an endpoint so far: what is full differs from engine to engine, so basins are compared.
let busiest = 4;

const ACTS = { drain: "Drain", undrain: "Undrain", lend: "Lend", reclaim: "Reclaim" };
const LENT_WORDS = { draining: "streams finish", stopping: "stopping", away: "away", returning: "returning" };
const HEALTH_WORDS = { up: "up", suspect: "breaker half open", down: "down" };

function figure(label, extra = "") {
  const value = make("dd", {}, "–");
  const name = make("dt", {}, label);
  return { name, value, row: make("div", { class: extra }, name, value) };
}

// How far something is filled, with a word for it and its reading.
function meter(label) {
  const filled = gauge("meter-bar");
  const reading = make("span", { class: "reading" }, "–");
  return {
    nodes: [make("span", {}, label), filled.node, reading],
    set(part, text) {
      filled.set(part);
      write(reading, text);
    },
  };
}

class Place {
  constructor(site, act) {
    this.site = site;
    this.slopes = new Slopes();
    this.badge = make("span", { class: "badge" }, "…");
    this.streams = figure("streams", "lead");
    this.sessions = figure("sessions");
    this.tokens = figure("tokens/s");
    this.ttft = figure("TTFT p99");
    this.itl = figure("ITL p99");
    this.link = figure("round trip");
    this.load = meter("load");
    this.kv = meter("KV");
    this.cache = meter("hits");
    this.money = meter(site.kind === "rented" ? "$/h" : "turns");
    const figures = [this.streams, this.sessions, this.tokens, this.ttft, this.itl, this.link];
    this.rows = make("tbody");
    this.acts = make("div", { class: "acts" });
    this.facts = make("p", { class: "quiet" });
    this.summary = make("summary", {}, "endpoints");
    this.lent = make("p", { class: "lent quiet", hidden: true });
    this.notes = make("ul", { class: "notes quiet", hidden: true });
    this.level = gauge("level-bar");
    this.details = make(
      "details",
      {},
      this.summary,
      make(
        "div",
        { class: "inner" },
        this.facts,
        make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Endpoints of ${site.name}` }, endpointTable(this.rows)),
        this.acts,
      ),
    );
    const where = [site.region, site.usd_per_replica_hour ? `${usd(site.usd_per_replica_hour)}/replica·h` : ""];
    this.node = make(
      "li",
      { class: "site", "data-site": site.name },
      this.level.node,
      make("div", { class: "site-head" }, make("h4", {}, site.name), make("span", { class: "where" }, where.filter(Boolean).join(" · ")), this.badge),
      make("dl", { class: "site-figures" }, ...figures.map((one) => one.row)),
      make("div", { class: "meters" }, ...this.load.nodes, ...this.kv.nodes, ...this.cache.nodes, ...this.money.nodes),
      this.lent,
      this.notes,
      this.details,
    );
    this.actButtons = {};
    for (const [action, word] of Object.entries(ACTS)) {
      const button = make("button", { type: "button" }, `${word}…`);
      button.setAttribute("aria-label", `${word} ${site.name}`);
      button.addEventListener("click", () => act(action, site.name, this.last));
      this.actButtons[action] = button;
    }
    this.details.addEventListener("toggle", () => this.last && this.drawEndpoints(this.last));
  }

  // The connection was lost, or the router is another one: what a person has opened stays so.
  beginAnew() {
    this.slopes = new Slopes();
    this.last = null;
  }

  allow(mayAct) {
    if (mayAct === this.mayAct) return;
    this.mayAct = mayAct;
    const why = make("span", { class: "quiet" }, "Acting is for the router's own machine.");
    this.acts.replaceChildren(...(mayAct ? Object.values(this.actButtons) : [why]));
  }

  state(frame) {
    if (!frame.up && !frame.suspect) return ["down", frame.endpoints ? (frame.trouble === "none" ? "down" : `${frame.trouble} down`) : "no endpoints"];
    if (frame.draining) return ["draining", "draining"];
    if (!frame.up) return ["hurt", "on trial"]; // a breaker is half open: one request at a time
    if (frame.up < frame.endpoints) return ["hurt", `${frame.up} of ${frame.endpoints} up`];
    return ["up", frame.endpoints === 1 ? "up" : `${frame.up} up`];
  }

  set(frame, at, objective) {
    const { turns, usd, hit, query, flow } = frame;
    this.slopes.add(at, { turns, usd, hit, query, flow });
    const before = this.last;
    this.last = frame;
    const [state, words] = this.state(frame);
    if (this.node.dataset.state !== state) this.node.dataset.state = state;
    write(this.badge, words);
    write(this.streams.value, count(frame.open));
    write(this.sessions.value, count(frame.sessions));
    write(this.tokens.value, rate(frame.tokens_per_s));
    write(this.ttft.value, span(frame.latency[1]));
    write(this.itl.value, span(frame.latency[3]));
    this.ttft.row.classList.toggle("over", frame.latency[1] > objective.ttft_s);
    this.itl.row.classList.toggle("over", frame.latency[3] > objective.itl_s);
    write(this.link.value, span(frame.rtt_s));
    write(this.link.name, frame.linked ? "round trip ⇄" : "round trip");
    const load = frame.up ? (frame.running + frame.waiting) / frame.up : 0;
    busiest = Math.max(busiest, load);
    this.load.set(load / busiest, frame.waiting ? `${count(frame.running)} + ${count(frame.waiting)} wait` : `${count(frame.running)} run`);
    this.kv.set(frame.kv, share(frame.kv));
    this.level.set(frame.kv);
    this.setCache(frame);
    this.setMoney();
    if (this.details.open) this.drawEndpoints(frame);
    write(this.summary, `${frame.endpoints} endpoint${frame.endpoints === 1 ? "" : "s"}${frame.suspect ? `, ${frame.suspect} suspect` : ""}`);
    this.actButtons.drain.hidden = frame.draining;
    this.actButtons.undrain.hidden = !frame.draining;
    this.actButtons.lend.hidden = this.site.kind !== "home";
    this.actButtons.reclaim.hidden = !frame.lent || !frame.lent[0];
    this.setLent(frame.lent);
    this.setNotes(frame, at);
    return before ? this.flowSince(before.flow, frame.flow) : [0, 0, 0, 0];
  }

  setLent(lent) {
    this.lent.hidden = !lent;
    if (!lent) return;
    const [replicas, of, phase, until, returning, reason, trouble] = lent;
    const parts = replicas ? [`lends ${replicas} of ${of} until ${moment(until)}`, LENT_WORDS[phase] ?? phase] : [`${returning} of ${of} replicas return`];
    if (reason) parts.push(reason);
    if (trouble) parts.push(trouble);
    write(this.lent, parts.join(" · "));
  }

  // What is so for a while: a site that is new, one whose lease ends, and what its scaling wants.
  setNotes(frame, at) {
    const notes = [];
    if (frame.warming) notes.push(`new: at most ${share(frame.warming)} of all turns until it has answered well`);
    if (frame.lease_until) notes.push(until(frame.lease_until - at, "its lease ends", "its lease has ended"));
    if (frame.scaling) {
      const [wanted, serving, most, reason] = frame.scaling;
      notes.push(`${serving} replica${serving === 1 ? "" : "s"} of at most ${most}, ${wanted} wanted: it ${reason}`);
    }
    const said = notes.join("\n");
    if (said === this.noted) return;
    this.noted = said;
    this.notes.hidden = notes.length === 0;
    this.notes.replaceChildren(...notes.map((note) => make("li", {}, note)));
  }

  flowSince(before, now) {
    return now.map((total, index) => Math.max(0, total - before[index]));
  }

  setCache(frame) {
    const asked = this.slopes.grown((one) => one.query, MONEY_S).by;
    const hit = this.slopes.grown((one) => one.hit, MONEY_S).by;
    const part = asked ? hit / asked : frame.query ? frame.hit / frame.query : null;
    this.cache.set(part, share(part));
  }

  setMoney() {
    if (this.site.kind !== "rented") {
      const turns = this.slopes.perSecond((one) => one.turns, FLOW_S);
      this.money.set(Math.min(1, turns / 100), `${rate(turns)}/s`);
      return;
    }
    const hourly = this.usdPerHour();
    const budget = this.site.budget_usd_per_hour;
    this.money.set(budget ? hourly / budget : 0, budget ? `${usd(hourly)} of ${usd(budget)}` : usd(hourly));
  }

  usdPerHour() {
    return this.slopes.perSecond((one) => one.usd, MONEY_S) * 3600;
  }

  flowRates() {
    return FLOWS.map((_, index) => this.slopes.perSecond((one) => one.flow[index], FLOW_S));
  }

  drawEndpoints(frame) {
    const facts = [`${count(frame.turns)} turns, ${count(frame.failures)} failed attempts, ${usd(frame.usd)} spent`];
    if (this.site.budget_usd_per_month) facts.push(`budget ${usd(this.site.budget_usd_per_month)} a month`);
    write(this.facts, `${facts.join("; ")}.`);
    const rows = frame.each.map(([name, health, draining, inFlight, running, waiting, kv, tokens, trouble, lent]) => {
      const words = trouble || (health === "up" && draining ? (lent ? "lent" : "no new turns") : HEALTH_WORDS[health]);
      return [name.slice(this.site.name.length + 1), words, inFlight, running, waiting, share(kv), rate(tokens)];
    });
    const shown = [...this.rows.rows];
    rows.forEach((cells, index) => {
      const row = shown[index] ?? this.rows.appendChild(make("tr", {}, ...cells.map(() => make("td"))));
      cells.forEach((cell, at) => write(row.cells[at], `${cell}`));
    });
    shown.slice(rows.length).forEach((row) => row.remove());
  }
}

function endpointTable(body) {
  const heads = ["endpoint", "state", "ours", "running", "waiting", "KV", "tok/s"];
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), body);
}

export class Places {
  constructor(act) {
    this.act = act;
    this.all = [];
  }

  build(hello) {
    const sites = JSON.stringify(hello.sites);
    if (sites === this.sites) this.all.forEach((place) => place.beginAnew());
    else this.place(hello.sites);
    this.sites = sites;
    this.all.forEach((place) => place.allow(Boolean(hello.token)));
  }

  place(sites) {
    this.all = sites.map((site) => new Place(site, this.act));
    for (const kind of ["home", "rented"]) {
      const here = this.all.filter((place) => place.site.kind === kind);
      document.getElementById(kind).replaceChildren(...here.map((place) => place.node));
      document.getElementById(`${kind}-bank`).hidden = here.length === 0;
    }
  }

  // Draws a frame; returns how many turns each site got since the last one, by flow.
  set(frame, objective) {
    return this.all.map((place, index) => place.set(frame.sites[index], frame.at, objective));
  }

  flowRates() {
    const sums = [0, 0, 0, 0];
    for (const place of this.all) place.flowRates().forEach((one, index) => (sums[index] += one));
    return sums;
  }

  usdPerHour() {
    return this.all.reduce((sum, place) => sum + place.usdPerHour(), 0);
  }
}
