// The stream of the router: comes back by itself, whatever became of it.

import { changed } from "./changing.js";

const RETRY_MS = 400;
const SILENT_MS = 5000; // ten frames: the connection stands and nothing comes

export function follow({ onHello, onFrame, onState }) {
  let source = null;
  let timer = 0;
  let heard = 0;
  let last = null; // the frame that changes are of

  function connect() {
    source = new EventSource("/page/stream");
    source.addEventListener("hello", (event) => {
      heard = Date.now();
      onHello(JSON.parse(event.data));
      onState("live");
    });
    source.addEventListener("frame", (event) => {
      heard = Date.now();
      last = JSON.parse(event.data);
      onFrame(last);
    });
    source.addEventListener("change", (event) => {
      heard = Date.now();
      last = changed(last, JSON.parse(event.data));
      onFrame(last);
    });
    source.addEventListener("error", again);
  }

  // A browser gives up on some failures and is slow on others, so each try is a new source.
  function again() {
    source?.close();
    source = null;
    onState("lost");
    clearTimeout(timer);
    timer = setTimeout(connect, RETRY_MS);
  }

  heard = Date.now();
  connect();
  setInterval(() => {
    if (source && Date.now() - heard > SILENT_MS) {
      heard = Date.now();
      again();
    }
  }, 1000);
}
