// One import: how far it is, and what it could not add.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Question } from "./dialog.js";
import { Here } from "./here.js";
import { usePaged } from "./loading.js";
import { Trouble } from "./trouble.js";
import { counted, number, when } from "./words.js";

const PAGE = 50; // failures
const SIGNS = { queued: "…", running: "▸", done: "✓", failed: "✕", cancelled: "–" };

// changed: called with the job as it is after something was done about it.
export function Job({ job, changed }) {
  const here = useContext(Here);
  const [asking, setAsking] = useState(false);
  const ended = job.finished_at !== null;
  return html`<li class=${`job ${job.state}`}>
    <div class="head"><b class="name">${job.source.name}</b>
      <span class="how"><span aria-hidden="true">${SIGNS[job.state]}</span>
        ${" "}${job.cancelling ? "being cancelled" : job.state}</span></div>
    <progress max=${job.total || 1}
      value=${job.state === "done" ? job.total || 1 : job.total === null ? undefined : job.done}
        aria-label=${`Progress of ${job.source.name}`}></progress>
    <p>${tally(job)}${job.failed ? html`, <b class="failed">${number(job.failed)} failed</b>` : ""}</p>
    ${job.reason && html`<p class="why">${job.reason.detail} <span class="small hint">${job.reason.code}</span></p>`}
    <p class="small hint">${moment(job)} · <code>${job.id}</code></p>
    ${!ended && html`<button type="button" disabled=${job.cancelling} onClick=${() => setAsking(true)}>Cancel</button>`}
    ${job.failed > 0 && html`<${FailureList} job=${job} />`}
    ${asking && html`<${Question} title="Cancel import" verb="Cancel the import" close=${() => setAsking(false)}
      done=${changed}
      act=${() => call("POST", `/jobs/${job.id}/cancel`, { query: { gallery: here.gallery } })}>
      <p>Stop importing <b>${job.source.name}</b>? What it has added stays.</p><//>`}
  </li>`;
}

function tally({ done, total, added, duplicates, ignored, distractors }) {
  if (total === null) return "not looked through yet";
  const as = distractors ? " as distractors" : "";
  return [
    `${number(done)} of ${counted(total, "photo")}: ${number(added)} added${as}`,
    ...(duplicates ? [`${number(duplicates)} there before`] : []),
    ...(ignored ? [`${counted(ignored, "other file")} left out`] : []),
  ].join(", ");
}

function moment({ created_at: created, started_at: started, finished_at: finished }) {
  if (finished) return `ended ${when(finished)}`;
  return started ? `began ${when(started)}` : `sent ${when(created)}`;
}

function FailureList({ job }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.target.open)}><summary>What failed, and why</summary>
    ${open && html`<${Failures} job=${job} />`}</details>`;
}

function Failures({ job }) {
  const here = useContext(Here);
  const { rows, more, problem, again, busy } = usePaged(async (after, signal) => {
    const query = { gallery: here.gallery, after, limit: PAGE };
    const page = await call("GET", `/jobs/${job.id}/failures`, { query, signal });
    return { rows: page.failures, next: page.next };
  }, [job.id, job.failed]);
  return html`<ul class="failures">${rows.map((one) => html`<li key=${one.name}>
    <b>${one.name}</b> ${one.detail} <span class="small hint">${one.code}</span></li>`)}</ul>
    <${Trouble} problem=${problem} again=${again} />
    ${busy && html`<p class="loading">Loading …</p>`}
    ${more && html`<button type="button" class="quiet" onClick=${more}>More</button>`}`;
}
