// Generations of a gallery: publish a new one, go back to an older one.

import { html, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";
import { Question } from "./dialog.js";
import { useDoing } from "./doing.js";
import { Trouble } from "./trouble.js";
import { counted, decimal, number } from "./words.js";

// gallery: of GET /galleries; changed: called when another generation is served.
export function Generations({ gallery, changed }) {
  return html`<section aria-label="Generations">
    <h2>Generations</h2>
    ${gallery.generations.length === 0
      ? html`<p class="hint">None yet. A generation is the gallery's index as files that never change; without one the
          gallery is searched in memory.</p>`
      : html`<p class="tags">On disk:
          ${gallery.generations.map((one) => html`<${Tag} key=${one} number=${one} served=${gallery.generation} />`)}
        </p>`}
    <${Publish} gallery=${gallery} changed=${changed} />
    ${gallery.generations.length > 0 && html`<${RollBack} key=${gallery.generation} gallery=${gallery}
      changed=${changed} />`}
  </section>`;
}

function Tag({ number: one, served }) {
  return html`<span class=${`tag ${one === served ? "current" : ""}`}>${one}${one === served ? " in use" : ""}</span>`;
}

function Publish({ gallery, changed }) {
  const [engine, setEngine] = useState("");
  const [force, setForce] = useState(false);
  const { busy, value, problem, run } = useDoing();
  const publish = async (event) => {
    event.preventDefault();
    const json = { force, ...(engine.trim() ? { engine: engine.trim() } : {}) };
    if (await run(() => call("POST", `/galleries/${gallery.name}/publish`, { json }))) changed();
  };
  return html`<form class="line" onSubmit=${publish}>
      <label class="field">Engine
        <input name="engine" list="engines" maxlength="200" placeholder="as it is" autocapitalize="none"
          autocomplete="off" spellcheck=${false}
          value=${engine} onInput=${(event) => setEngine(event.target.value)} />
        <datalist id="engines">${["flat", "ivf", "ivf,sq8,refine", "hnsw", "hnsw,m=32"].map((text) =>
          html`<option value=${text} />`)}</datalist></label>
      <label class="tick"><input type="checkbox" checked=${force}
        onChange=${(event) => setForce(event.target.checked)} /> Even if it breaks pins</label>
      <button type="submit" disabled=${busy}>${busy ? "Publishing …" : "Publish a new generation"}</button>
    </form>
    ${value && html`<${Published} answer=${value} />`}
    <${Trouble} problem=${problem} />`;
}

function Published({ answer }) {
  const { generation, engine, recall, items, labels, removed, broken_pins: broken } = answer;
  return html`<p role="status" class="well">Generation <b>${generation}</b> is served: ${counted(items, "photo")} of
    ${" "}${counted(labels, "label")}, engine <code>${engine}</code>${
    recall === null ? "" : `, recall ${decimal(recall)}`}${
    removed.length ? `; deleted: ${removed.join(", ")}` : ""}${
    broken.length ? html`; <b class="failed">${counted(broken.length, "pin")} broken</b>` : ""}.</p>`;
}

function RollBack({ gallery, changed }) {
  const others = gallery.generations.filter((one) => one !== gallery.generation).sort((a, b) => b - a);
  const [picked, setPicked] = useState(null);
  const chosen = others.includes(picked) ? picked : others.find((one) => one < gallery.generation) ?? others[0];
  const [asking, setAsking] = useState(false);
  if (others.length === 0) return html`<p class="hint">To roll back takes an older generation.</p>`;
  const ask = (event) => {
    event.preventDefault();
    setAsking(true);
  };
  return html`<form class="line" onSubmit=${ask}>
      <label class="field">Roll back to
        <select name="generation" value=${String(chosen)}
          onChange=${(event) => setPicked(Number(event.target.value))}>${others.map((one) => html`<option key=${one}
            value=${String(one)}>generation ${one}</option>`)}</select></label>
      <button type="submit">Roll back</button>
    </form>
    ${asking && html`<${Question} title="Roll back" verb=${`Serve generation ${chosen}`} close=${() => setAsking(false)}
      done=${changed}
      act=${() => call("POST", `/galleries/${gallery.name}/rollback`, { json: { generation: chosen } })}>
      <p>Serve generation ${chosen} of <b>${gallery.name}</b> exactly as it was, in place of
        ${" "}${number(gallery.generation)}? Changes go on being stored, and wait for the next publish.</p><//>`}`;
}
