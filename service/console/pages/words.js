// Numbers and moments as people read them.

const count = new Intl.NumberFormat("en-GB");
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export function number(value) {
  return value === null || value === undefined ? "–" : count.format(value);
}

// "1 photo", "12 photos".
export function counted(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

// A probability in per cent; never rounded to a certainty that it is not.
export function percent(value) {
  if (value > 0.999 && value < 1) return ">\u00a099.9\u00a0%";
  if (value > 0 && value < 0.001) return "<\u00a00.1\u00a0%";
  const text = (value * 100).toFixed(value > 0.99 || value < 0.1 ? 1 : 0);
  return `${text.replace(/\.0$/, "")}\u00a0%`;
}

export function decimal(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

export function when(text) {
  return text === null || text === undefined ? "–" : moment.format(new Date(text));
}
