// Figures as a person reads them. Every width is small and every unit is said.

export function span(seconds) {
  if (!seconds) return "–";
  if (seconds >= 10) return `${seconds.toFixed(0)} s`;
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  const ms = seconds * 1000;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

export function count(number) {
  if (number < 10_000) return `${Math.round(number)}`;
  return number < 1e6 ? `${(number / 1e3).toFixed(1)}k` : `${(number / 1e6).toFixed(1)}M`;
}

export function rate(number) {
  return number > 0 && number < 10 ? number.toFixed(1) : count(number);
}

export function share(part) {
  return part === null ? "–" : `${Math.round(part * 100)}%`;
}

export function usd(amount) {
  if (amount === 0) return "$0";
  if (amount < 0.1) return `$${amount.toPrecision(2)}`;
  return amount < 1000 ? `$${amount.toFixed(2)}` : `$${count(amount)}`;
}

export function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString([], { hour12: false });
}

// A day and time with its zone: who lends and who looks may be in different ones.
export function moment(unixSeconds) {
  const shown = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false, timeZoneName: "short" };
  return new Date(unixSeconds * 1000).toLocaleString([], shown);
}

// How long until something is so, in a few words, or that it is.
export function until(seconds, will, is) {
  if (seconds <= 0) return is;
  const [amount, unit] = seconds >= 172_800 ? [seconds / 86_400, "days"] : seconds >= 5_400 ? [seconds / 3_600, "h"] : [seconds / 60, "min"];
  return `${will} in ${Math.ceil(amount)} ${unit}`;
}

// Sets text only where it changes: most figures stand still most of the time.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
