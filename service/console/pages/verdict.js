// An answer of POST /recognize: what it is, how sure, why, and the gallery photos that speak for it.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { GalleryPhoto, Viewer } from "./gallery-photo.js";
import { Here, hashOf } from "./here.js";
import { counted, decimal, number, percent } from "./words.js";

const SHOWN = 6; // photos of a candidate
const SIGNS = {
  known: "M5 13l5 5L20 7",
  ambiguous: "M4 9.5c3-3 5-3 8 0s5 3 8 0M4 15.5c3-3 5-3 8 0s5 3 8 0",
  unknown: "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.2-1.5 2.6M12 18.6v.1",
};
const MEASURES = "similarity (cosine) − penalty (likeness to distractors) · inliers (local features in common)";
const WORDS = { known: "Known", ambiguous: "Ambiguous", unknown: "Unknown" };

// The sign of a verdict: a shape and a word each, besides its colour.
export function VerdictChip({ verdict }) {
  return html`<span class=${`chip ${verdict}`}>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${SIGNS[verdict]} /></svg>${WORDS[verdict]}
  </span>`;
}

// An answer in one sentence, to be read aloud.
export function spoken(answer) {
  const what = { known: `Known: ${answer.label}`, ambiguous: "Ambiguous", unknown: "Unknown" }[answer.verdict];
  return `${what}. Confidence ${percent(answer.confidence)}, threshold ${percent(answer.threshold)}.`;
}

export function Verdict({ answer }) {
  const names = answer.candidates.slice(0, 2).map((candidate) => candidate.label);
  const title = {
    known: answer.label,
    ambiguous: names.length > 1 ? html`${names[0]} <span class="or">or</span> ${names[1]}` : names[0],
    unknown: "Nothing that this gallery knows",
  }[answer.verdict];
  return html`<section class=${`verdict ${answer.verdict}`} aria-label="Answer">
    <${VerdictChip} verdict=${answer.verdict} />
    <h2 class="label">${title}</h2>
    <${Confidence} answer=${answer} />
    <p class="explanation">${answer.explanation}</p>
    <p class="small facts">${factsOf(answer)}</p>
    <${Details} answer=${answer} />
  </section>`;
}

function factsOf(answer) {
  return [
    `${Math.round(answer.timing_ms.total)} ms`,
    `gallery ${answer.gallery}`,
    ...(answer.generation ? [`generation ${answer.generation}`] : []),
    `false-accept budget ${percent(answer.far_budget)}`,
    ...(answer.penalty ? [`likeness to distractors ${decimal(answer.penalty)}`] : []),
  ].join(" · ");
}

function Confidence({ answer: { confidence: value, threshold, verdict, candidates } }) {
  const label = candidates[0]?.label;
  const words = `Confidence ${percent(value)}; known from ${percent(threshold)}`;
  return html`<div class="confidence">
    <div class=${`bar ${verdict}`} role="img" aria-label=${words}>
      <div class="fill" style=${{ width: `${value * 100}%` }}></div>
      ${threshold <= 1 && html`<div class="mark" style=${{ left: `${threshold * 100}%` }}></div>`}
    </div>
    <p class="scale"><b>${percent(value)}</b> ${label === undefined ? "confidence" : `that it is ${label}`}
      ${" "}<span class="hint">known from ${percent(threshold)}</span></p>
  </div>`;
}

function Details({ answer }) {
  const times = Object.entries(answer.timing_ms);
  return html`<details class="small"><summary>Timing and identity</summary>
    <dl class="pairs">
      ${times.map(([stage, milliseconds]) => html`<dt>${stage}</dt><dd>${decimal(milliseconds, 1)} ms</dd>`)}
      <dt>reason</dt><dd><code>${answer.reason}</code></dd>
      <dt>model</dt><dd>${answer.model}</dd>
      <dt>change</dt><dd>${number(answer.change)}</dd>
      <dt>recognition</dt><dd><code>${answer.id}</code></dd>
    </dl>
  </details>`;
}

// Every candidate with its confidence and its photos.
export function Candidates({ answer }) {
  const [seen, setSeen] = useState(null);
  const many = answer.candidates.length;
  if (many === 0) return null;
  return html`<section class="candidates" aria-label="Candidates">
    <h3>The ${many > 1 ? counted(many, "nearest label") : "nearest label"}</h3>
    <ol>${answer.candidates.map((candidate) => html`<${Candidate} key=${candidate.label} candidate=${candidate}
      answer=${answer} see=${setSeen} />`)}</ol>
    ${seen && html`<${Viewer} id=${seen.id} gallery=${answer.gallery} facts=${measuresOf(seen)}
      close=${() => setSeen(null)} />`}
  </section>`;
}

function measuresOf(item) {
  const measured = { similarity: decimal(item.similarity), penalty: decimal(item.penalty) };
  return item.inliers === null ? measured : { ...measured, inliers: number(item.inliers) };
}

function Candidate({ candidate, answer, see }) {
  const here = useContext(Here);
  const [all, setAll] = useState(false);
  const items = all ? candidate.items : candidate.items.slice(0, SHOWN);
  return html`<li class="candidate">
    <div class="who">
      <a href=${hashOf({ gallery: here.gallery, view: "gallery", label: candidate.label })}>${candidate.label}</a>
      <div class="bar thin" aria-hidden="true">
        <div class="fill" style=${{ width: `${candidate.confidence * 100}%` }}></div>
        ${answer.threshold <= 1 && html`<div class="mark" style=${{ left: `${answer.threshold * 100}%` }}></div>`}
      </div>
      <span class="small number">${percent(candidate.confidence)}</span>
    </div>
    <ul class="photos small-photos">
      ${items.map((item) => html`<li key=${item.id}>
        <button type="button" class="photo" onClick=${() => see(item)}
          aria-label=${`Photo of ${candidate.label}, similarity ${decimal(item.similarity)}`}>
          <${GalleryPhoto} id=${item.id} gallery=${answer.gallery} label=${candidate.label} />
        </button>
        <span class="small" title=${MEASURES}>${decimal(item.similarity, 2)}${
          item.penalty > 0 ? html` <span class="hint">− ${decimal(item.penalty, 2)}</span>` : ""
        }${item.inliers === null ? "" : html` <span class="hint">· ${item.inliers} inliers</span>`}</span>
      </li>`)}
      ${items.length < candidate.items.length && html`<li><button type="button" class="quiet"
        onClick=${() => setAll(true)}>${candidate.items.length - items.length} more</button></li>`}
    </ul>
  </li>`;
}
