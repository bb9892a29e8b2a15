// The stream of the router: comes back by itself, whatever became of it.

const RETRY_MS = 400;
const SILENT_MS = 5000; // ten frames: the connection stands and nothing comes

export function follow({ onHello, onFrame, onState }) {
  let source = null;
  let timer = 0;
  let heard = 0;

  function connect() {
    source = new EventSource("/page/stream");
    source.addEventListener("hello", (event) => {
      heard = Date.now();
      onHello(JSON.parse(event.data));
      onState("live");
    });
    source.addEventListener("frame", (event) => {
      heard = Date.now();
      onFrame(JSON.parse(event.data));
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
