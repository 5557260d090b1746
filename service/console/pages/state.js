// The view of how server and gallery stand, and what an administrator does about it.

import { html, useContext } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { AuditLog } from "./audit.js";
import { Calibration } from "./calibration.js";
import { Feedback } from "./feedback.js";
import { Generations } from "./generations.js";
import { Here } from "./here.js";
import { useLoaded } from "./loading.js";
import { Pins } from "./pins.js";
import { Trouble } from "./trouble.js";
import { number, percent, when } from "./words.js";

export function State() {
  const here = useContext(Here);
  const { value, problem, busy, again } = useLoaded(
    (signal) => call("GET", "/galleries", { signal }),
    [here.gallery, here.keyTurn],
  );
  const gallery = value?.galleries.find((one) => one.name === here.gallery);
  const changed = () => {
    again();
    here.refresh();
  };
  return html`<div class="state">
    <h1>State <span class="hint">of ${here.gallery}</span></h1>
    <${Server} />
    <${Trouble} problem=${problem} again=${again} />
    ${busy && !value && html`<p class="loading">Loading …</p>`}
    ${value && !gallery && html`<section>
      <p class="hint">There is no gallery ${here.gallery} yet, or this key is not for it.</p></section>`}
    ${gallery && html`
      <${Figures} gallery=${gallery} refresh=${changed} />
      <${Calibration} gallery=${gallery} changed=${changed} />
      <${Generations} gallery=${gallery} changed=${changed} />
      <${Pins} key=${gallery.name} gallery=${gallery.name} />
      <${Feedback} key=${`feedback ${gallery.name}`} gallery=${gallery.name} />`}
    <${AuditLog} key=${here.gallery} />
  </div>`;
}

function Server() {
  const ready = useLoaded(async (signal) => {
    try {
      return await call("GET", "/readyz", { signal });
    } catch (problem) {
      if (problem.body?.checks) return problem.body; // unready, and it says why
      throw problem;
    }
  }, []);
  const version = useLoaded((signal) => call("GET", "/version", { signal }), []);
  return html`<section aria-label="Server">
    <div class="head"><h2>Server</h2><button type="button" class="quiet"
      onClick=${ready.again}>Look again</button></div>
    <${Trouble} problem=${ready.problem} again=${ready.again} />
    ${ready.value && html`<ul class="checks">${ready.value.checks.map((check) => html`<li key=${check.name}
      class=${check.ok ? "ok" : "bad"}>
      <span class="sign" aria-hidden="true">${check.ok ? "✓" : "✕"}</span>
        <b>${check.name}</b> <span>${check.ok ? ""
          : html`<span class="unseen">not ready: </span>`}${check.sentence}</span></li>`)}</ul>`}
    ${version.value && html`<${Version} ...${version.value} />`}
  </section>`;
}

function Version({ version, model, model_sha256: sha256, device, precision }) {
  return html`<p class="small">Whichone ${version} · model <b>${model}</b> on ${device}, ${precision} ·
    ${" "}<span class="hint">sha256 <code title=${sha256}>${sha256.slice(0, 12)}…</code></span></p>`;
}

function Figures({ gallery, refresh }) {
  const figures = [
    ["labels", number(gallery.labels)],
    ["photos", number(gallery.items)],
    ["distractors", number(gallery.distractors)],
    ["generation", gallery.generation ? number(gallery.generation) : "none yet"],
    ["false-accept budget", percent(gallery.far_budget)],
    ["strangers among questions", gallery.unknown_share === null ? "as set" : percent(gallery.unknown_share)],
  ];
  return html`<section aria-label="Gallery">
    <div class="head"><h2>Gallery</h2><button type="button" class="quiet" onClick=${refresh}>Look again</button></div>
    <dl class="figures">${figures.map(([name, value]) => html`<div key=${name}><dt>${name}</dt>
      <dd>${value}</dd></div>`)}</dl>
    ${gallery.pinned && html`<p class="why">Rolled back: generation ${gallery.generation} is served exactly as it
      is; changes wait for the next publish.</p>`}
    ${gallery.without_features > 0 &&
      html`<p class="why">${number(gallery.without_features)} photos cannot be verified
        before <code>whichone index refresh</code>.</p>`}
    <p class="small hint">made ${when(gallery.created_at)} · change ${number(gallery.change)}</p>
  </section>`;
}
