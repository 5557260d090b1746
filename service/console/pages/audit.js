// The audit log: who changed what.

import { html, useContext } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Here } from "./here.js";
import { usePaged } from "./loading.js";
import { Trouble } from "./trouble.js";
import { when } from "./words.js";

const PAGE = 25;
const LONG = 160; // characters

export function AuditLog() {
  const here = useContext(Here);
  const { rows, more, problem, busy, again } = usePaged(async (after, signal) => {
    const query = { gallery: here.gallery, after, limit: PAGE };
    const page = await call("GET", "/audit", { query, signal, quiet: true }); // most people need no key to see the rest
    return { rows: page.entries, next: page.next };
  }, [here.gallery, here.keyTurn]);
  return html`<section aria-label="Audit log">
    <div class="head"><h2>Audit log</h2><button type="button" class="quiet" onClick=${again}>Look again</button></div>
    <${Trouble} problem=${problem} again=${again} />
    ${!busy && !problem && rows.length === 0 && html`<p class="hint">Nothing was changed yet.</p>`}
    ${rows.length > 0 && html`<div class="scroll"><table>
      <thead><tr><th>when</th><th>who</th><th>what</th><th>of</th><th>details</th></tr></thead>
      <tbody>${rows.map((entry) => html`<tr key=${entry.id}>
        <td class="nowrap">${when(entry.at)}</td><td>${entry.actor}${entry.actor === entry.via ? ""
          : html` <span class="hint">${entry.via}</span>`}</td>
        <td class="nowrap">${entry.action.replaceAll("_", " ")}</td>
          <td class="subject" title=${entry.subject ?? ""}>${entry.subject ?? ""}</td>
        <td class="detail">${detail(entry.detail)}</td></tr>`)}</tbody></table></div>`}
    ${busy && html`<p class="loading">Loading …</p>`}
    ${more && html`<button type="button" class="quiet" onClick=${more}>Older</button>`}
  </section>`;
}

// What a change was about, in few words: of many photos' sha256 their number.
function detail(members) {
  const told = Object.entries(members).filter(([, value]) => value !== null && JSON.stringify(value) !== "{}");
  const text = told.map(([name, value]) => `${name} ${short(value)}`).join(" · ");
  const shown = text.length > LONG ? `${text.slice(0, LONG)}…` : text;
  return html`<span title=${JSON.stringify(members).slice(0, 2000)}>${shown}</span>`;
}

function short(value) {
  if (Array.isArray(value)) return value.length === 1 ? short(value[0]) : `(${value.length})`;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.replace(/\b([0-9a-f]{10})[0-9a-f]{54}\b/g, "$1…");
}
