// What went wrong, in the server's own words, where it happened.

import { html, useContext, useEffect, useState } from "./vendor/htm-preact.js";
import { Here } from "./here.js";

// problem: a Problem, any other error (a fault of these pages), or null; again: what to do to try once more.
export function Trouble({ problem, again }) {
  const here = useContext(Here);
  const wait = useWait(problem);
  if (!problem || problem.name === "AbortError") return null;
  const refused = problem.status === 401 || problem.status === 403;
  return html`<div class="trouble" role="alert">
    <p>${problem.message}</p>
    ${problem.retryAfter !== null && problem.retryAfter !== undefined && html`<p>${
      wait > 0 ? `The server asks to wait for ${wait} s.` : "It can be tried again now."
    }</p>`}
    <p class="small">${problem.code ?? "fault of this page"}${problem.requestId &&
      html` · request <code>${problem.requestId}</code>`}</p>
    <div class="buttons">
      ${refused && here && html`<button type="button"
        onClick=${() => here.openKey()}>${problem.status === 401 ? "Enter a key" : "Use another key"}</button>`}
      ${again && html`<button type="button" disabled=${wait > 0} onClick=${again}>Again</button>`}
    </div>
  </div>`;
}

// Seconds still to wait, as the server asked.
function useWait(problem) {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    setLeft(problem?.retryAfter ?? 0);
    if (!problem?.retryAfter) return undefined;
    const timer = setInterval(() => setLeft((now) => Math.max(0, now - 1)), 1000);
    return () => clearInterval(timer);
  }, [problem]);
  return left;
}
