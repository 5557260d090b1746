// The API key of who looks at the pages: where it is kept, and who asks for it.
//
// It lies in this tab's sessionStorage; where "remember" is ticked, in localStorage. Never in a cookie, never in a URL.

const NAME = "whichone-key";
const listeners = new Set();
let memory = null; // where a browser refuses both stores
let asking = null;
let asker = null;

function read(store) {
  try {
    return window[store].getItem(NAME);
  } catch {
    return null;
  }
}

function write(store, key) {
  try {
    if (key === null) window[store].removeItem(NAME);
    else window[store].setItem(NAME, key);
  } catch {
    // The page then forgets it when it is closed.
  }
}

export function currentKey() {
  return read("sessionStorage") ?? read("localStorage") ?? memory;
}

export function isRemembered() {
  return read("localStorage") !== null;
}

// Keeps a key, or with null forgets it everywhere.
export function keep(key, remember) {
  memory = key;
  write("sessionStorage", remember ? null : key);
  write("localStorage", remember ? key : null);
  for (const listener of listeners) listener(key);
}

// Calls `listener` whenever the key changes; returns how to end that.
export function onKey(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// Who shows the question: a function (problem) => Promise of whether a key was given.
export function answerBy(ask) {
  asker = ask;
}

// Ask for a key because of a problem; true when there is another one than `used` to try with. One question at a time.
export async function askForKey(problem, used) {
  if (currentKey() !== used) return true;
  asking ??= asker(problem).finally(() => (asking = null));
  return asking;
}
