// What sites and tenants have cost this month, against what they may.

import { gauge } from "./gauge.js";
import { make, usd, write } from "./format.js";

function monthWords(month) {
  return new Date(Date.UTC(Math.floor(month / 100), (month % 100) - 1, 15)).toLocaleDateString([], { month: "long", year: "numeric", timeZone: "UTC" });
}

class Budget {
  constructor([site, tenant]) {
    this.filled = gauge("meter-bar");
    this.reading = make("span", { class: "reading" });
    this.state = make("span", { class: "quiet" });
    this.node = make(
      "li",
      { class: "budget" },
      make("span", {}, make("strong", {}, site || tenant), make("span", { class: "quiet" }, site ? " site" : " tenant")),
      this.reading,
      this.filled.node,
      this.state,
    );
  }

  set([, , month, spent, most, warn]) {
    const bound = most ?? warn;
    this.filled.set(bound ? spent / bound : 0);
    write(this.reading, most === null ? usd(spent) : `${usd(spent)} of ${usd(most)}`);
    const [state, words] = this.standing(month, spent, most, warn);
    if (this.node.dataset.state !== state) this.node.dataset.state = state;
    write(this.state, words);
  }

  standing(month, spent, most, warn) {
    if (!month) return ["ok", "since the router began"];
    if (most !== null && spent >= most) return ["spent", "spent: nothing more goes where it costs"];
    if (warn !== null && spent > warn) return ["high", `above ${usd(warn)}, of which you wanted to be told`];
    const left = most === null ? "no bound" : `${usd(most - spent)} left`;
    return ["ok", warn === null ? left : `${left}, told above ${usd(warn)}`];
  }
}

export class Budgets {
  constructor() {
    this.section = document.getElementById("budgets");
    this.list = document.getElementById("budget-list");
    this.title = document.getElementById("budgets-title");
    this.shown = [];
  }

  set(budgets) {
    if (budgets === this.last) return; // nothing has been spent
    this.last = budgets;
    this.section.hidden = budgets.length === 0;
    if (budgets.length === 0) return;
    const names = budgets.map(([site, tenant]) => `${site}/${tenant}`).join();
    if (names !== this.names) {
      this.names = names;
      this.shown = budgets.map((one) => new Budget(one));
      this.list.replaceChildren(...this.shown.map((one) => one.node));
    }
    const month = budgets[0][2];
    write(this.title, month ? `Budgets of ${monthWords(month)}` : "Budgets of the month: no ledger keeps them");
    budgets.forEach((one, index) => this.shown[index].set(one));
  }
}
