// Photos on their way into a gallery, one request each: a photo that cannot be used stops no other.

import { useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { call, formOf } from "./api.js";

const NOTHING = { done: 0, added: 0, duplicates: 0, failed: [], busy: false, stopped: false };
const STOPPED = new Error("was stopped; it may have been added");
const NOT_SENT = new Error("was not sent");

// ended: called with the state when the last photo is through, or it was stopped.
// Gives the state ({ done, added, duplicates, failed: [{ file, problem }], busy, stopped }), and what changes it.
export function useEnrolling(ended) {
  const [state, setState] = useState(NOTHING);
  const giveUp = useRef(null);
  useEffect(() => () => giveUp.current?.abort(), []);

  // label: null for distractors.
  const addAll = async (files, gallery, label) => {
    giveUp.current = new AbortController();
    const { signal } = giveUp.current;
    let now = { ...NOTHING, busy: true };
    for (const file of files) {
      setState(now);
      now = { ...now, ...(await outcome(file, now, { gallery, label, giveUp: giveUp.current })), done: now.done + 1 };
      if (signal.aborted) break;
    }
    const left = files.slice(now.done).map((file) => ({ file, problem: NOT_SENT }));
    now = { ...now, failed: [...now.failed, ...left], busy: false, stopped: signal.aborted };
    setState(now);
    ended(now);
  };
  return { state, addAll, stop: () => giveUp.current?.abort(), forget: () => setState(NOTHING) };
}

async function outcome(file, { added, duplicates, failed }, { gallery, label, giveUp }) {
  const form = formOf({ label, images: file });
  try {
    const path = label === null ? "/index/distractors" : "/index";
    const { items } = await call("POST", path, { query: { gallery }, form, signal: giveUp.signal });
    return items[0].duplicate ? { duplicates: duplicates + 1 } : { added: added + 1 };
  } catch (error) {
    if (error.status === 401) giveUp.abort(); // nobody gives a key: the rest would fail alike
    return { failed: [...failed, { file, problem: error.name === "AbortError" ? STOPPED : error }] };
  }
}
