// Windows above the page: a dialog, and a question before something is lost.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { Trouble } from "./trouble.js";

// A modal <dialog>: the browser keeps the focus inside, closes it on Escape, and gives the focus back.
export function Dialog({ title, close, wide = false, children }) {
  const box = useRef(null);
  useEffect(() => {
    box.current.showModal();
    const shown = box.current;
    return () => shown.close();
  }, []);
  const outside = (event) => event.target === box.current && close();
  const cancel = (event) => {
    event.preventDefault(); // closed by being taken out of the page
    close();
  };
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onCancel=${cancel}
    onMouseDown=${outside}>
    <div class="inside">
      <header><h2>${title}</h2><button type="button" class="quiet icon" aria-label="Close"
        onClick=${close}>✕</button></header>
      ${children}
    </div>
  </dialog>`;
}

// Asks before `act` (which may fail, and is told where it was asked) is done.
export function Question({ title, act, verb, close, done, children }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const go = async () => {
    setBusy(true);
    setProblem(null);
    try {
      done?.(await act());
      close();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} close=${close}>
    ${children}
    <${Trouble} problem=${problem} />
    <div class="buttons">
      <button type="button" class="quiet" onClick=${close} autofocus>Cancel</button>
      <button type="button" class="primary danger" disabled=${busy}
        onClick=${go}>${busy ? "Working …" : verb}</button>
    </div>
  <//>`;
}
