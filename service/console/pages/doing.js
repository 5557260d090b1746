// One action of an administrator: whether it is under way, what came of it, what went wrong.

import { useCallback, useState } from "./vendor/htm-preact.js";

// run: does `act`, and tells whether it went well; value: what it gave last.
export function useDoing() {
  const [state, setState] = useState({ busy: false, value: null, problem: null });
  const run = useCallback(async (act) => {
    setState({ busy: true, value: null, problem: null });
    try {
      const value = await act();
      setState({ busy: false, value, problem: null });
      return true;
    } catch (problem) {
      setState({ busy: false, value: null, problem });
      return false;
    }
  }, []);
  return { ...state, run };
}
