// The box that asks where a request would go, and why.

import { make, span, usd } from "./format.js";

const HEADS = ["endpoint", "objective", "first token", "network", "queue", "adapter", "prefill", "cached", "price"];

function verdict(decision) {
  const kind = decision.action.toLowerCase();
  const goes = { send: `It would go to ${decision.endpoint}.`, refuse: "It would be refused.", wait: "It would wait in the router." }[kind];
  const reason = `${decision.reason.charAt(0).toUpperCase()}${decision.reason.slice(1)}.`;
  return make("div", { class: `verdict ${kind}` }, make("strong", {}, goes), make("p", {}, reason), make("p", { class: "quiet" }, `rule: ${decision.rule}, class: ${decision.slo}`));
}

// One column for each; that of adapters only where a request needs one.
function candidates(decision) {
  const heads = HEADS.filter((head) => head !== "adapter" || decision.candidates.some((one) => one.adapter_s));
  const rows = decision.candidates.map((one) => {
    const prompt = one.cached_tokens + one.uncached_tokens;
    const cells = [span(one.ttft_s), span(one.network_s), span(one.queue_s), heads.includes("adapter") ? span(one.adapter_s) : null, span(one.prefill_s), prompt ? `${one.cached_tokens}/${prompt}` : "–", usd(one.price_usd)];
    const words = one.excluded || (one.meets_objective ? "meets" : "misses");
    const chosen = one.endpoint === decision.endpoint ? "chosen" : "";
    return make("tr", { class: chosen }, make("td", {}, one.endpoint), make("td", { class: "words" }, words), ...cells.filter((cell) => cell !== null).map((cell) => make("td", {}, cell)));
  });
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => (head ? make("th", { scope: "col" }, head) : make("td"))))), make("tbody", {}, ...rows));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Every candidate" }, table);
}

export function explaining() {
  const form = document.getElementById("explain");
  const answer = document.getElementById("explanation");
  const field = (name) => document.getElementById(`explain-${name}`);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const question = {
      prompt: field("prompt").value,
      session: field("session").value,
      slo: field("class").value,
      tenant: field("tenant").value,
      max_new_tokens: Number(field("tokens").value),
    };
    try {
      const response = await fetch("/page/explain", { method: "POST", body: JSON.stringify(question) });
      const said = await response.json();
      if (!response.ok) throw new Error(said.error);
      answer.replaceChildren(verdict(said), ...(said.candidates.length ? [candidates(said)] : []));
    } catch (error) {
      answer.replaceChildren(make("p", { class: "bad-text" }, error instanceof TypeError ? "The router does not answer." : error.message));
    }
  });
}
