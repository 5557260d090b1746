// Pins: photos that a generation must answer in a certain way before it is published.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Question } from "./dialog.js";
import { Here } from "./here.js";
import { useLoaded } from "./loading.js";
import { Trouble } from "./trouble.js";
import { number, when } from "./words.js";

const SHOWN = 50;

export function Pins({ gallery }) {
  const here = useContext(Here);
  const [most, setMost] = useState(SHOWN);
  const [asking, setAsking] = useState(null);
  const { value, problem, again } = useLoaded(
    (signal) => call("GET", `/galleries/${gallery}/pins`, { signal }),
    [gallery, here.keyTurn],
  );
  const pins = value?.pins ?? [];
  return html`<section aria-label="Pins">
    <h2>Pins ${value && html`<span class="hint">${number(pins.length)}</span>`}</h2>
    <${Trouble} problem=${problem} again=${again} />
    ${value && pins.length === 0 &&
      html`<p class="hint">None. <code>whichone index pin PHOTO --label NAME</code> pins how a photo has to
        be answered; a generation that breaks it is not published.</p>`}
    ${pins.length > 0 && html`<div class="scroll"><table>
      <thead><tr><th>must be</th><th>photo (sha256)</th><th>since</th><th>
        <span class="unseen">delete</span></th></tr></thead>
      <tbody>${pins.slice(0, most).map((pin) => html`<tr key=${pin.id}>
        <th scope="row">${pin.label === null ? html`<i>unknown</i>` : pin.label}</th><td>
          <code title=${pin.sha256}>${pin.sha256.slice(0, 12)}…</code></td><td>${when(pin.created_at)}</td>
        <td><button type="button" class="danger quiet"
          onClick=${() => setAsking(pin)}>Delete</button></td></tr>`)}</tbody></table></div>`}
    ${pins.length > most && html`<button type="button" class="quiet"
      onClick=${() => setMost(most + SHOWN)}>${number(pins.length - most)} more</button>`}
    ${asking && html`<${Question} title="Delete pin" verb="Delete" close=${() => setAsking(null)} done=${again}
      act=${() => call("DELETE", `/galleries/${gallery}/pins/${asking.id}`)}>
      <p>Let generations answer this photo as they like? It must be ${asking.label === null ? "unknown"
        : html`<b>${asking.label}</b>`} now.</p><//>`}
  </section>`;
}
