// Feedback: what people have said that photos show, which were asked about.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Question } from "./dialog.js";
import { Here } from "./here.js";
import { useLoaded } from "./loading.js";
import { Trouble } from "./trouble.js";
import { number, when } from "./words.js";

const SHOWN = 50;

// What the counts of GET /feedback come to, in one sentence without its full stop.
export function standing({ known, needed }) {
  return known >= needed
    ? `${number(known)} known questions: the gallery is calibrated on them`
    : `${number(known)} of ${number(needed)} known questions so far`;
}

export function Feedback({ gallery }) {
  const here = useContext(Here);
  const [most, setMost] = useState(SHOWN);
  const [asking, setAsking] = useState(null);
  const query = { gallery };
  const { value, problem, again } = useLoaded(
    (signal) => call("GET", "/feedback", { query, signal }),
    [gallery, here.keyTurn],
  );
  const said = value?.feedback ?? [];
  return html`<section aria-label="Feedback">
    <div class="head"><h2>Feedback</h2><button type="button" class="quiet" onClick=${again}>Look again</button></div>
    <${Trouble} problem=${problem} again=${again} />
    ${value && html`<${Counts} counts=${value} />`}
    ${said.length > 0 && html`<ul class="said">${said.slice(0, most).map((entry) => html`<${Entry} key=${entry.id}
      entry=${entry} takeBack=${() => setAsking(entry)} />`)}</ul>`}
    ${said.length > most && html`<button type="button" class="quiet"
      onClick=${() => setMost(most + SHOWN)}>${number(said.length - most)} more</button>`}
    ${asking && html`<${Question} title="Take back" verb="Take back" close=${() => setAsking(null)} done=${again}
      act=${() => call("DELETE", `/feedback/${asking.id}`, { query })}>
      <p>Take back that photo <code>${short(asking)}</code> shows <${Shown} entry=${asking} />? The gallery then
        learns from the rest.</p><//>`}
  </section>`;
}

function Counts({ counts }) {
  const figures = { known: counts.known, unknown: counts.unknown, needed: counts.needed };
  const total = counts.feedback.length;
  return html`<dl class="figures">${Object.entries(figures).map(([name, value]) => html`<div key=${name}>
      <dt>${name}</dt><dd>${number(value)}</dd></div>`)}</dl>
    <p class="hint">${total === 0
      ? html`None yet. It is given under an answer, or by
          ${" "}<code>whichone feedback add PHOTO --label NAME</code>. From ${number(counts.needed)} known questions on
          the gallery is calibrated on them.`
      : `${standing(counts)}.`}</p>`;
}

function Entry({ entry, takeBack }) {
  return html`<li>
    <div><${Shown} entry=${entry} />
      <p class="small hint">${entry.known ? "in the gallery" : "not in the gallery"} ·${" "}
        photo <code title=${entry.sha256}>${short(entry)}</code> ·${" "}
        ${entry.box !== null && `part ${entry.box} · `}<span class="nowrap">${when(entry.created_at)}</span></p></div>
    <button type="button" class="danger quiet" onClick=${takeBack}>Take back</button>
  </li>`;
}

function Shown({ entry }) {
  return entry.label === null ? html`<i>nothing with a name</i>` : html`<b class="label">${entry.label}</b>`;
}

function short({ sha256 }) {
  return `${sha256.slice(0, 12)}…`;
}
