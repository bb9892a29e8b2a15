// The page: a frame comes, and each part draws what it is about.

import { Acting } from "./acting.js";
import { Budgets } from "./budgets.js";
import { Charts } from "./charts.js";
import { Decisions } from "./decisions.js";
import { explaining } from "./explain.js";
import { follow } from "./feed.js";
import { count, make, rate, share, usd, write } from "./format.js";
import { Places } from "./places.js";
import { Water } from "./water.js";

const CONNECTION_WORDS = { live: "live", lost: "reconnecting", waiting: "connecting" };
const FLOWS = ["settled", "overflow", "returned", "resumed"];

const announcement = document.getElementById("announcement");
const announce = (words) => write(announcement, words);
const acting = new Acting(announce);
const places = new Places((action, site, frame) => acting.ask(action, site, frame));
const water = new Water(document.getElementById("places"));
const charts = new Charts();
const budgets = new Budgets();
const decisions = new Decisions();
const headline = buildHeadline();
let fleet = null;
let states = [];
let drawnAt = 0;

function buildHeadline() {
  const labels = { sessions: "sessions", open: "open streams", tokens: "tokens/s", away: "of turns overflow", waiting: "waiting here", refused: "refused", resumed: "streams resumed", money: "metered an hour", month: "this month" };
  const values = {};
  const rows = Object.entries(labels).map(([name, label]) => {
    values[name] = make("dd", { id: `headline-${name}` }, "–");
    const bound = make("span", { id: `headline-${name}-of` });
    return make("div", {}, make("dt", {}, label, bound), values[name]);
  });
  document.getElementById("headline").replaceChildren(...rows);
  return values;
}

function options(select, names, first) {
  const chosen = names.includes(select.value) ? select.value : first;
  select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  select.value = chosen;
}

function onHello(hello) {
  fleet = hello;
  states = [];
  acting.token = hello.token;
  write(document.getElementById("router"), hello.router);
  places.build(hello);
  for (const id of ["chart-class", "explain-class"]) {
    options(document.getElementById(id), hello.classes.map((one) => one.name), hello.default_class);
  }
  document.getElementById("tenants").replaceChildren(...hello.tenants.map((name) => make("option", { value: name })));
  charts.build(hello);
  decisions.build();
  sayBound("money", hello.sites.reduce((sum, site) => sum + (site.budget_usd_per_hour ?? 0), 0));
  onFrame(hello.frame);
  water.build(places.all);
}

function onFrame(frame) {
  const chosen = document.getElementById("chart-class").value;
  const objective = fleet.classes.find((one) => one.name === chosen) ?? fleet.classes[0];
  const flows = places.set(frame, objective);
  const now = performance.now();
  water.pour(flows, Math.min(1000, now - drawnAt));
  drawnAt = now;
  drawHeadline(frame);
  drawNotices(frame.notices);
  budgets.set(frame.budgets);
  charts.add(frame);
  decisions.add(frame.decisions, frame.decided);
  const away = frame.decisions.findLast((one) => one.flow === "overflow");
  if (away) stamp("overflow", away.at);
  tellChanges(frame);
}

function drawHeadline(frame) {
  const rates = places.flowRates();
  FLOWS.forEach((flow, index) => write(document.getElementById(`rate-${flow}`), rate(rates[index])));
  write(document.getElementById("hub-streams"), count(frame.open));
  write(headline.sessions, count(frame.sessions));
  write(headline.open, count(frame.open));
  write(headline.tokens, rate(frame.sites.reduce((sum, site) => sum + site.tokens_per_s, 0)));
  const turns = rates.reduce((sum, one) => sum + one, 0);
  write(headline.away, share(turns ? rates[1] / turns : 0));
  write(headline.waiting, count(frame.waiting));
  write(headline.refused, count(frame.refused));
  write(headline.resumed, count(frame.resumed));
  write(headline.money, usd(places.usdPerHour()));
  drawMonth(frame);
}

function sayBound(name, budget) {
  write(document.getElementById(`headline-${name}-of`), budget ? ` of ${usd(budget)}` : "");
}

// What all sites have cost: by the ledger in this month, or without one since the router began.
function drawMonth(frame) {
  const kept = frame.budgets.filter(([site, , month]) => site && month);
  const spent = kept.length ? kept.reduce((sum, one) => sum + one[3], 0) : frame.sites.reduce((sum, site) => sum + site.usd, 0);
  write(headline.month, usd(spent));
  headline.month.previousSibling.firstChild.textContent = kept.length ? "this month" : "since the router began";
  sayBound("month", kept.reduce((sum, one) => sum + (one[4] ?? 0), 0));
}

function drawNotices(notices) {
  const list = document.getElementById("notices");
  const said = notices.join("\n");
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  list.hidden = notices.length === 0;
  list.replaceChildren(...notices.map((notice) => make("li", {}, notice)));
  announce(said);
}

// Says aloud what has become of a site, and of nothing that changes all the time.
function tellChanges(frame) {
  const before = states;
  states = places.all.map((place) => place.node.dataset.state);
  const changed = places.all.filter((_, index) => before[index] && before[index] !== states[index]);
  for (const place of changed) stamp(`${place.site.name} is ${place.node.dataset.state}`, frame.at);
  if (changed.length) {
    announce(changed.map((place) => `${place.site.name}: ${place.badge.textContent}`).join("; "));
    water.drawChannels();
  }
}

// When something was shown, and when it was so: for whoever measures how late the page is.
function stamp(name, at) {
  performance.clearMarks(name); // the last of each, so that they stay few
  performance.mark(name, { detail: at });
}

explaining();
follow({
  onHello,
  onFrame,
  onState(state) {
    const pill = document.getElementById("connection");
    if (pill.dataset.state === state) return;
    pill.dataset.state = state;
    write(document.getElementById("connection-text"), CONNECTION_WORDS[state]);
    announce(state === "live" ? "The page is live." : "The router does not answer; the page tries again.");
  },
});
