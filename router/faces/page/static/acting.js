// What may be done to a site, once it is confirmed.

import { write } from "./format.js";

const ASKED = {
  drain: (site, frame) => `No new turns go to ${site}. ${frame.open} open stream${frame.open === 1 ? "" : "s"} there may finish, and then go on elsewhere.`,
  undrain: (site) => `New turns go to ${site} again.`,
};

export class Acting {
  constructor(announce) {
    this.announce = announce;
    this.token = "";
    this.dialog = document.getElementById("confirm");
    this.yes = document.getElementById("confirm-yes");
    this.error = document.getElementById("confirm-error");
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
    this.dialog.showModal();
    document.getElementById("confirm-no").focus();
  }

  async act() {
    this.yes.disabled = true;
    try {
      const response = await fetch("/page/act", {
        method: "POST",
        headers: { "X-Spillway-Token": this.token },
        body: JSON.stringify(this.asked),
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
