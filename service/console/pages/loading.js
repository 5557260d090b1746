// Fetching what a view shows: once, a page at a time, or again and again.

import { useCallback, useEffect, useRef, useState } from "./vendor/htm-preact.js";

// What `load(signal)` gives; loaded anew when one of `needs` changes, or by `again`. Meanwhile there is what was there
// before, but where another thing is needed now, and it was not said to `keep` it.
export function useLoaded(load, needs, { keep = false } = {}) {
  const [turn, setTurn] = useState(0);
  const before = useRef(0);
  const [state, setState] = useState({ value: null, problem: null, busy: true });
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const giveUp = new AbortController();
    const same = keep || turn !== before.current;
    before.current = turn;
    setState((now) => ({ value: same ? now.value : null, busy: true, problem: null }));
    latest.current(giveUp.signal).then(
      (value) => !giveUp.signal.aborted && setState({ value, problem: null, busy: false }),
      (problem) => !giveUp.signal.aborted && setState((now) => ({ ...now, problem, busy: false })),
    );
    return () => giveUp.abort();
  }, [...needs, turn]);
  const again = useCallback(() => setTurn((now) => now + 1), []);
  return { ...state, again };
}

// A list that comes a page at a time: `load(after, signal)` gives { rows, next, ... } and `more` fetches the next.
export function usePaged(load, needs) {
  const [rows, setRows] = useState([]);
  const [state, setState] = useState({ next: null, first: null, problem: null, busy: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  const giveUp = useRef(null);
  latest.current = load;
  const fetchPage = (after) => {
    const { signal } = giveUp.current;
    setState((now) => ({ ...now, busy: true, problem: null }));
    latest.current(after, signal).then(
      (page) => {
        if (signal.aborted) return;
        setRows((now) => (after === null ? page.rows : [...now, ...page.rows]));
        setState((now) => ({ next: page.next, first: after === null ? page : now.first, problem: null, busy: false }));
      },
      (problem) => !signal.aborted && setState((now) => ({ ...now, problem, busy: false })),
    );
  };
  useEffect(() => {
    giveUp.current = new AbortController();
    setRows([]);
    fetchPage(null);
    return () => giveUp.current.abort();
  }, [...needs, turn]);
  const more = state.next === null || state.busy ? null : () => fetchPage(state.next);
  const again = useCallback(() => setTurn((now) => now + 1), []);
  return { rows, setRows, more, again, ...state };
}

// Calls `tick` every `seconds` while `wanted`, but not while nobody looks at the page.
export function useEvery(seconds, wanted, tick) {
  const latest = useRef(tick);
  latest.current = tick;
  useEffect(() => {
    if (!wanted) return undefined;
    const timer = setInterval(() => !document.hidden && latest.current(), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds, wanted]);
}
