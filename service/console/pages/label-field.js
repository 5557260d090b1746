// A field for a label that offers those the gallery has.

import { html, useContext, useEffect, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Here } from "./here.js";

const OFFERED = 20; // of perhaps thousands
let fields = 0;

export function LabelField({ title, value, change, autofocus = false }) {
  const here = useContext(Here);
  const [id] = useState(() => `labels-${++fields}`);
  const [wanted, setWanted] = useState(false);
  const [labels, setLabels] = useState([]);
  useEffect(() => {
    if (!wanted) return undefined;
    const giveUp = new AbortController();
    call("GET", "/labels", { query: { gallery: here.gallery }, quiet: true, signal: giveUp.signal }).then(
      (body) => setLabels(body.labels.map((one) => one.label)),
      () => setLabels([]), // a label can be written without help
    );
    return () => giveUp.abort();
  }, [wanted, here.gallery, here.keyTurn]);
  return html`<label class="field">${title}
    <input name="label" list=${id} maxlength="200" autocomplete="off" autocapitalize="none" spellcheck=${false} required
      autofocus=${autofocus}
      value=${value} onFocus=${() => setWanted(true)} onInput=${(event) => change(event.target.value)} />
    <datalist id=${id}>${matching(labels, value).map((label) => html`<option key=${label}
      value=${label} />`)}</datalist>
  </label>`;
}

// Labels that hold the text, those that start with it first.
export function matching(labels, text, most = OFFERED) {
  const sought = text.trim().toLowerCase();
  const found = labels.filter((label) => label.toLowerCase().includes(sought));
  const starts = (label) => Number(!label.toLowerCase().startsWith(sought));
  return (sought ? found.sort((a, b) => starts(a) - starts(b)) : found).slice(0, most);
}
