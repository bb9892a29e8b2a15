// Puts what has changed into what was there. What has not is the same object as before.

const isObject = (value) => value !== null && typeof value === "object";

export function changed(before, change) {
  if (!isObject(before) || !isObject(change) || Array.isArray(change)) return change;
  const after = Array.isArray(before) ? [...before] : { ...before };
  for (const [name, value] of Object.entries(change)) after[name] = changed(before[name], value);
  return after;
}
