// The window that adds photos to a gallery: one after the other, so that each failure has a name.

import { html, useContext, useState } from "./vendor/htm-preact.js";
import { Dialog } from "./dialog.js";
import { useEnrolling } from "./enrolling.js";
import { Here } from "./here.js";
import { LabelField } from "./label-field.js";
import { DropArea, PickButtons, usePaste } from "./picking.js";
import { counted } from "./words.js";

// label: to start with; distractors: whether to start with those; changed: called when photos were added.
export function AddPhotos({ label: first, distractors: firstKind, close, changed }) {
  const here = useContext(Here);
  const [label, setLabel] = useState(first);
  const [distractors, setDistractors] = useState(firstKind);
  const [files, setFiles] = useState([]);
  const { state, addAll, stop, forget } = useEnrolling((now) => {
    here.say(`${counted(now.added, "photo")} added, ${now.failed.length} failed`);
    changed();
  });
  const more = (list) => {
    if (state.busy) return;
    setFiles(state.done ? list : [...files, ...list]);
    forget();
  };
  usePaste(true, more);
  const send = (list) => {
    setFiles(list);
    addAll(list, here.gallery, distractors ? null : label);
  };
  const submit = (event) => {
    event.preventDefault();
    send(files);
  };
  const finished = !state.busy && state.done > 0;
  return html`<${Dialog} title=${`Add photos to ${here.gallery}`} close=${close}>
    <form onSubmit=${submit}>
      <fieldset class="choice" disabled=${state.busy}><legend class="unseen">What do they show?</legend>
        <label class="tick"><input type="radio" name="kind" checked=${!distractors}
          onChange=${() => setDistractors(false)} /> Photos of one thing</label>
        <label class="tick"><input type="radio" name="kind" checked=${distractors}
          onChange=${() => setDistractors(true)} /> Distractors
          ${" "}<span class="hint">(show nothing of the gallery)</span></label>
      </fieldset>
      ${!distractors && html`<${LabelField} title="Label" value=${label} change=${setLabel} autofocus=${!first} />`}
      <${DropArea} dropped=${more} class="area">
        <p>${files.length ? counted(files.length, "photo") + " chosen"
          : html`<span class="hint">Drop photos here, paste, or</span>`}</p>
        ${!state.busy && html`<${PickButtons} picked=${more}
          words=${files.length ? "More photos" : "Choose photos"} />`}
      <//>
      ${(state.busy || finished) && html`<${Progress} state=${state} total=${files.length} />`}
      ${finished && state.failed.length > 0 && html`<${Failures} failed=${state.failed}
        again=${() => send(state.failed.map((one) => one.file))} />`}
      <div class="buttons">
        ${state.busy
          ? html`<button type="button" onClick=${stop}>Stop</button>`
          : html`<button type="button" class="quiet" onClick=${close}>${finished ? "Close" : "Cancel"}</button>`}
        ${!finished && html`<button type="submit" class="primary"
          disabled=${state.busy || !files.length || (!distractors && !label.trim())}>
          ${state.busy ? "Adding …" : `Add ${files.length ? counted(files.length, "photo") : ""}`}</button>`}
      </div>
    </form>
  <//>`;
}

function Progress({ state, total }) {
  const { done, added, duplicates, failed, stopped } = state;
  return html`<div role="status">
    <progress value=${done} max=${total} aria-label="Photos sent"></progress>
    <p>${done} of ${counted(total, "photo")}: ${added} added${duplicates ? `, ${duplicates} there before` : ""}${
      failed.length ? html`, <b class="failed">${failed.length} failed</b>` : ""}${stopped ? " – stopped" : ""}</p>
  </div>`;
}

function Failures({ failed, again }) {
  const waits = Math.max(0, ...failed.map(({ problem }) => problem.retryAfter ?? 0));
  return html`<ul class="failures">${failed.map(({ file, problem }) => html`<li>
    <b>${file.name}</b> ${problem.message}
      ${problem.code && html` <span class="small hint">${problem.code}</span>`}</li>`)}</ul>
    <p><button type="button"
      onClick=${again}>Try ${failed.length === 1 ? "it" : `these ${failed.length}`} again</button>
      ${waits > 0 && html` <span class="hint">The server asks to wait for ${waits} s.</span>`}</p>`;
}
