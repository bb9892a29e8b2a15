// What may be done to a site, once it is confirmed.

import { write } from "./format.js";

const LOAN_H = 8; // a night, where nothing else is said
const ASKED = {
  drain: (site, frame) => `No new turns go to ${site}. ${frame.open} open stream${frame.open === 1 ? "" : "s"} there may finish, and then go on elsewhere.`,
  undrain: (site) => `New turns go to ${site} again.`,
  lend: (site, frame) => `Replicas of ${site} go to other work: no new turns, and ${frame.open === 1 ? "its open stream finishes or goes" : "their open streams finish or go"} on elsewhere. It has ${frame.lent ? frame.lent[1] : frame.endpoints}.`,
  reclaim: (site, frame) => `All ${frame.lent ? frame.lent[0] : ""} replicas that ${site} lends return. Jobs that borrow them are told to end after their grace.`,
};

// What a local date and time is in an input: without its zone.
function local(date) {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export class Acting {
  constructor(announce) {
    this.announce = announce;
    this.token = "";
    this.dialog = document.getElementById("confirm");
    this.yes = document.getElementById("confirm-yes");
    this.error = document.getElementById("confirm-error");
    this.loan = document.getElementById("loan");
    this.replicas = document.getElementById("loan-replicas");
    this.until = document.getElementById("loan-until");
    this.reason = document.getElementById("loan-reason");
    document.getElementById("confirm-no").addEventListener("click", () => this.dialog.close());
    this.yes.addEventListener("click", () => this.act());
  }

  ask(action, site, frame) {
    this.asked = { action, site };
    const word = action.charAt(0).toUpperCase() + action.slice(1);
    write(document.getElementById("confirm-title"), `${word} ${site}?`);
    write(document.getElementById("confirm-text"), ASKED[action](site, frame));
    write(this.yes, word);
    write(this.error, "");
    this.yes.disabled = false;
    this.loan.hidden = action !== "lend";
    if (action === "lend") this.propose();
    this.dialog.showModal();
    document.getElementById("confirm-no").focus();
  }

  propose() {
    const until = new Date(Date.now() + LOAN_H * 3_600_000);
    until.setMinutes(0);
    this.replicas.value = "1";
    this.until.value = local(until);
    this.reason.value = "";
  }

  // What is to be lent; throws what is wrong with it, for a person.
  terms() {
    const replicas = Number(this.replicas.value);
    const until_unix_s = new Date(this.until.value).getTime() / 1000;
    if (!Number.isInteger(replicas) || replicas < 1) throw new Error("How many replicas? At least 1.");
    if (!(until_unix_s > Date.now() / 1000)) throw new Error("Until when? That is past, or no time.");
    return { replicas, until_unix_s, reason: this.reason.value };
  }

  async act() {
    this.yes.disabled = true;
    try {
      const terms = this.asked.action === "lend" ? this.terms() : {};
      const response = await fetch("/page/act", {
        method: "POST",
        headers: { "X-Spillway-Token": this.token },
        body: JSON.stringify({ ...this.asked, ...terms }),
      });
      const said = await response.json();
      if (!response.ok) throw new Error(said.error);
      this.dialog.close();
      this.announce(said.said);
    } catch (error) {
      write(this.error, error instanceof TypeError ? "The router does not answer." : error.message);
      this.yes.disabled = false;
    }
  }
}
